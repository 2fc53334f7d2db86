"""One module per family of explainable classifiers: `add_command(subparsers)` and the network it builds."""
