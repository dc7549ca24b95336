"""``python -m uvtex``: the command line where the script is not on the path."""

from uvtex.cli import main

main()
