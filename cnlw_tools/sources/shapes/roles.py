"""Roles: what the parts of a drawing are made of. A palette gives each role its colour."""

from enum import IntEnum


class Role(IntEnum):
    """What a part is made of; ``NONE`` cuts a hole."""

    NONE = 0
    BODY = 1
    TRIM = 2
    PATTERN = 3  # the second colour of a patterned body
    SHADE = 4  # the body, in shadow
    TINT = 5  # the body, in the light
    LINE = 6  # outlines
    DARK = 7
    LIGHT = 8
    METAL = 9
    WOOD = 10
    GLASS = 11
    LEAF = 12
    WARM = 13  # flames, brass, amber
    FOOD = 14
    # FIRST to THIRD are the colours of backgrounds and clutter. The sum of 16 of these numbers says
    # how often each is among them (see `vector_graphics.apply_opaque_palette`).
    FIRST = 15
    SECOND = 16
    THIRD = 32


# The drawings name them often, so here they are without their prefix.
NONE = Role.NONE
BODY = Role.BODY
TRIM = Role.TRIM
SHADE = Role.SHADE
TINT = Role.TINT
DARK = Role.DARK
LIGHT = Role.LIGHT
METAL = Role.METAL
WOOD = Role.WOOD
GLASS = Role.GLASS
LEAF = Role.LEAF
WARM = Role.WARM
FOOD = Role.FOOD
FIRST = Role.FIRST
SECOND = Role.SECOND
THIRD = Role.THIRD
