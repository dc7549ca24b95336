"""The commands of ``uvtex``, one module each; none imports torch before it runs."""
