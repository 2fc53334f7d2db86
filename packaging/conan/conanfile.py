"""A Conan 2 package of what `make install` or the archive of `make dist` holds: Conan has no Swift to build it with.

    LIMPID_TREE=/path/of/the/tree conan export-pkg packaging/conan
    conan test packaging/conan/test_package limpid/0.2.0
"""

import os
import re

from conan import ConanFile
from conan.errors import ConanException
from conan.tools.files import copy


class Limpid(ConanFile):
    name = "limpid"
    license = "Apache-2.0"
    description = "Classifies images with ONNX models, and explains the decision"
    settings = "os", "arch"
    package_type = "shared-library"

    @property
    def tree(self):
        found = os.environ.get("LIMPID_TREE")
        if not found or not os.path.exists(os.path.join(found, "include", "limpid", "limpid.h")):
            raise ConanException("LIMPID_TREE must name a tree of `make install` or `make dist`")
        return found

    def set_version(self):
        with open(os.path.join(self.tree, "include", "limpid", "limpid.h")) as header:
            text = header.read()
        parts = (re.search(rf"LIMPID_VERSION_{part} (\d+)", text).group(1) for part in ("MAJOR", "MINOR", "PATCH"))
        self.version = ".".join(parts)

    def package(self):
        for folder in ("bin", "include", "lib", "share"):
            copy(self, "*", os.path.join(self.tree, folder), os.path.join(self.package_folder, folder))

    def package_info(self):
        self.cpp_info.libs = ["limpid"]
        self.cpp_info.set_property("cmake_file_name", "limpid")
        self.cpp_info.set_property("cmake_target_name", "limpid::limpid")
        self.cpp_info.set_property("pkg_config_name", "limpid")
