"""``python -m cnlw_tools`` is ``cnlw``."""


def main() -> None:
    """Run the command line, which is imported here: worker processes import this module too."""
    from cnlw_tools import cli

    cli.main()


if __name__ == "__main__":
    main()
