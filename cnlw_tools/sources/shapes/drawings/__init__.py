"""What the pictures show: the ten classes, and what a web search finds besides each of them."""

from typing import NamedTuple

from cnlw_tools.sources.shapes.drawings import (
    classes,
    hand_tools,
    indoors,
    outdoors,
    round_things,
    vessels,
)
from cnlw_tools.sources.shapes.scene import Drawing

CLASSES: dict[str, Drawing] = {
    "bicycle": classes.bicycle,
    "chair": classes.chair,
    "clock": classes.clock,
    "guitar": classes.guitar,
    "key": classes.key,
    "lamp": classes.lamp,
    "mug": classes.mug,
    "scissors": classes.scissors,
    "teapot": classes.teapot,
    "umbrella": classes.umbrella,
}


class Neighbours(NamedTuple):
    """What a web search for a class finds that is of none of the ten classes."""

    lookalikes: dict[str, Drawing]  # mistaken for the class
    related: dict[str, Drawing]  # seen beside it


NEIGHBOURS: dict[str, Neighbours] = {
    "bicycle": Neighbours(
        lookalikes={
            "eyeglasses": outdoors.eyeglasses,
            "kick scooter": outdoors.kick_scooter,
            "pram": outdoors.pram,
            "motorcycle": outdoors.motorcycle,
            "handcart": outdoors.handcart,
        },
        related={
            "wheel": outdoors.wheel,
            "helmet": outdoors.helmet,
            "traffic cone": outdoors.traffic_cone,
        },
    ),
    "chair": Neighbours(
        lookalikes={
            "stool": indoors.stool,
            "ladder": indoors.ladder,
            "table": indoors.table,
            "bench": indoors.bench,
            "easel": indoors.easel,
        },
        related={
            "cushion": indoors.cushion,
            "sofa": indoors.sofa,
            "curtain": indoors.curtain,
        },
    ),
    "clock": Neighbours(
        lookalikes={
            "compass": round_things.compass,
            "pressure gauge": round_things.pressure_gauge,
            "plate": round_things.plate,
            "coin": round_things.coin,
            "dartboard": round_things.dartboard,
        },
        related={
            "hourglass": round_things.hourglass,
            "calendar": round_things.calendar,
            "bell": round_things.bell,
        },
    ),
    "guitar": Neighbours(
        lookalikes={
            "banjo": indoors.banjo,
            "violin": indoors.violin,
            "tennis racket": indoors.tennis_racket,
            "frying pan": indoors.frying_pan,
        },
        related={
            "amplifier": indoors.amplifier,
            "music note": indoors.music_note,
            "drum": indoors.drum,
        },
    ),
    "key": Neighbours(
        lookalikes={
            "wrench": hand_tools.wrench,
            "magnifying glass": hand_tools.magnifying_glass,
            "spoon": hand_tools.spoon,
            "oar": hand_tools.oar,
            "corkscrew": hand_tools.corkscrew,
        },
        related={
            "padlock": hand_tools.padlock,
            "door": hand_tools.door,
            "mail box": hand_tools.mail_box,
        },
    ),
    "lamp": Neighbours(
        lookalikes={
            "table fan": round_things.table_fan,
            "microphone": round_things.microphone,
            "palm tree": round_things.palm_tree,
            "goblet": vessels.goblet,
            "trophy": vessels.trophy,
        },
        related={
            "light bulb": round_things.light_bulb,
            "candle": round_things.candle,
            "plug": round_things.plug,
        },
    ),
    "mug": Neighbours(
        lookalikes={
            "bucket": vessels.bucket,
            "beer stein": vessels.beer_stein,
            "plant pot": vessels.plant_pot,
            "measuring jug": vessels.measuring_jug,
            "candle jar": vessels.candle_jar,
        },
        related={
            "coffee beans": vessels.coffee_beans,
            "doughnut": vessels.doughnut,
            "cake": vessels.cake,
        },
    ),
    "scissors": Neighbours(
        lookalikes={
            "pliers": hand_tools.pliers,
            "dividers": hand_tools.dividers,
            "tweezers": hand_tools.tweezers,
            "tongs": hand_tools.tongs,
        },
        related={
            "comb": hand_tools.comb,
            "thread spool": hand_tools.thread_spool,
            "ruler": hand_tools.ruler,
        },
    ),
    "teapot": Neighbours(
        lookalikes={
            "watering can": vessels.watering_can,
            "kettle": vessels.kettle,
            "oil can": vessels.oil_can,
            "gravy boat": vessels.gravy_boat,
        },
        related={
            "tea bag": vessels.tea_bag,
            "lemon slice": vessels.lemon_slice,
            "cake": vessels.cake,
        },
    ),
    "umbrella": Neighbours(
        lookalikes={
            "mushroom": outdoors.mushroom,
            "parachute": outdoors.parachute,
            "jellyfish": outdoors.jellyfish,
            "tent": outdoors.tent,
        },
        related={
            "rain cloud": outdoors.rain_cloud,
            "rubber boot": outdoors.rubber_boot,
            "sun hat": outdoors.sun_hat,
        },
    ),
}
