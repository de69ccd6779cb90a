"""``python -m cnlw_tools`` is ``cnlw``."""


def main() -> None:
    """Run the command line; it is imported here, since worker processes import what began the first one."""
    from cnlw_tools import cli

    cli.main()


if __name__ == "__main__":
    main()
