@_exported import CABI
