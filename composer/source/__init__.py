"""Reading YAML: plain data with a place for everything in it, and errors that say where."""

from __future__ import annotations

from composer.source.document import Document
from composer.source.edit import with_scalar
from composer.source.files import read_file
from composer.source.invalid import Places, problems_of
from composer.source.reader import read_document
from composer.source.scalars import BadScalar, Scalar, resolve

__all__ = [
    "BadScalar",
    "Document",
    "Places",
    "Scalar",
    "problems_of",
    "read_document",
    "read_file",
    "resolve",
    "with_scalar",
]
