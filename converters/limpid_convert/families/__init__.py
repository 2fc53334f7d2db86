"""One module per family of explainable classifiers.

A family has a NAME, `add_command(subparsers)`, `recognises(tensors)`, and for messages a TITLE and what is ABSENT where
it recognises nothing. To add one: write the module and list it here, the more particular ones first.
"""

from limpid_convert.families import ca_stream, classifier, lavise, lcam, scouter, tame

FAMILIES = (scouter, ca_stream, tame, lcam, lavise, classifier)
