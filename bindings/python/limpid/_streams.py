"""Images of an iterator, a few at a time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Tuple

from ._errors import InvalidArgument
from ._interruption import Progress, reporting

if TYPE_CHECKING:
    from ._images import ImageLike

#: How many images of an iterator are in memory at once, where `batch_size` does not say.
STREAMED = 8


def chunks(
    images: Any, size: int, progress: Optional[Progress],
) -> Iterator[Tuple[List[ImageLike], Optional[Progress]]]:
    """A stream of images in lists, and for each what its call reports to: images done, of those that were taken."""
    if size < 0:
        raise InvalidArgument(f"batch_size is {size}; it may not be negative")
    tell, close = (None, None) if progress is None else reporting(progress)
    before, source = 0, iter(images)
    try:
        while chunk := list(itertools.islice(source, size)):
            yield chunk, None if tell is None else _shifted(tell, before, len(chunk))
            before += len(chunk)
            chunk = []
    finally:
        if close is not None:
            close()


def _shifted(tell: Any, before: int, count: int) -> Progress:
    return lambda done, total: tell(before + count * done // max(1, total), before + count)
