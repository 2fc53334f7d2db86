import CLimpid

/// Numbers may differ from version to version, so it is a part of what names an evaluation.
let libraryVersion = "\(LIMPID_VERSION_MAJOR).\(LIMPID_VERSION_MINOR).\(LIMPID_VERSION_PATCH)"
