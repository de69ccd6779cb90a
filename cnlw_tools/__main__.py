"""``python -m cnlw_tools`` is ``cnlw``."""

from cnlw_tools.cli import main

main()
