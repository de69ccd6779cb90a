"""What the pictures show: the ten classes, and for each what the web mistakes for it or shows beside it."""

from typing import NamedTuple

from cnlw_tools.sources.shapes.drawings import classes, indoors, outdoors, rounds, tools, vessels
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


class Around(NamedTuple):
    """What one finds on the web around a class, and is not of it; nor of any other of the ten."""

    lookalikes: dict[str, Drawing]
    related: dict[str, Drawing]


AROUND: dict[str, Around] = {
    "bicycle": Around(
        {"eyeglasses": outdoors.eyeglasses, "kick scooter": outdoors.kick_scooter, "pram": outdoors.pram,
         "motorcycle": outdoors.motorcycle, "handcart": outdoors.handcart},
        {"wheel": outdoors.wheel, "helmet": outdoors.helmet, "traffic cone": outdoors.traffic_cone},
    ),
    "chair": Around(
        {"stool": indoors.stool, "ladder": indoors.ladder, "table": indoors.table, "bench": indoors.bench,
         "easel": indoors.easel},
        {"cushion": indoors.cushion, "sofa": indoors.sofa, "curtain": indoors.curtain},
    ),
    "clock": Around(
        {"compass": rounds.compass, "pressure gauge": rounds.pressure_gauge, "plate": rounds.plate,
         "coin": rounds.coin, "dartboard": rounds.dartboard},
        {"hourglass": rounds.hourglass, "calendar": rounds.calendar, "bell": rounds.bell},
    ),
    "guitar": Around(
        {"banjo": indoors.banjo, "violin": indoors.violin, "tennis racket": indoors.tennis_racket,
         "frying pan": indoors.frying_pan},
        {"amplifier": indoors.amplifier, "music note": indoors.music_note, "drum": indoors.drum},
    ),
    "key": Around(
        {"wrench": tools.wrench, "magnifying glass": tools.magnifying_glass, "spoon": tools.spoon, "oar": tools.oar,
         "corkscrew": tools.corkscrew},
        {"padlock": tools.padlock, "door": tools.door, "mail box": tools.mail_box},
    ),
    "lamp": Around(
        {"table fan": rounds.table_fan, "microphone": rounds.microphone, "palm tree": rounds.palm_tree,
         "goblet": vessels.goblet, "trophy": vessels.trophy},
        {"light bulb": rounds.light_bulb, "candle": rounds.candle, "plug": rounds.plug},
    ),
    "mug": Around(
        {"bucket": vessels.bucket, "beer stein": vessels.beer_stein, "plant pot": vessels.plant_pot,
         "measuring jug": vessels.measuring_jug, "candle jar": vessels.candle_jar},
        {"coffee beans": vessels.coffee_beans, "doughnut": vessels.doughnut, "cake": vessels.cake},
    ),
    "scissors": Around(
        {"pliers": tools.pliers, "dividers": tools.dividers, "tweezers": tools.tweezers, "tongs": tools.tongs},
        {"comb": tools.comb, "thread spool": tools.thread_spool, "ruler": tools.ruler},
    ),
    "teapot": Around(
        {"watering can": vessels.watering_can, "kettle": vessels.kettle, "oil can": vessels.oil_can,
         "gravy boat": vessels.gravy_boat},
        {"tea bag": vessels.tea_bag, "lemon slice": vessels.lemon_slice, "cake": vessels.cake},
    ),
    "umbrella": Around(
        {"mushroom": outdoors.mushroom, "parachute": outdoors.parachute, "jellyfish": outdoors.jellyfish,
         "tent": outdoors.tent},
        {"rain cloud": outdoors.rain_cloud, "rubber boot": outdoors.rubber_boot, "sun hat": outdoors.sun_hat},
    ),
}  # fmt: skip
