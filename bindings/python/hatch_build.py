"""Build hook: a wheel that carries liblimpid.so.0 beside the Python files.

The library is the one that LIMPID_LIBRARY names, else the release build of this repository. LIMPID_LICENSES may name a
folder with the licences of what is inside of it (scripts/licenses).
"""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

RELEASE_BUILD = Path(__file__).resolve().parents[2] / ".build" / "release" / "liblimpid.so"


class NativeLibrary(BuildHookInterface):
    def initialize(self, version, build_data):
        named = os.environ.get("LIMPID_LIBRARY")
        library = Path(named) if named else RELEASE_BUILD
        if not library.is_file():
            raise SystemExit(
                f"LIMPID_LIBRARY names {named}, which does not exist" if named else
                "limpid: the native library is not built yet: run \"make\" in the checkout first, or set LIMPID_LIBRARY "
                "to the path of an installed liblimpid.so.0")
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["force_include"][str(self.stripped(library))] = "limpid/liblimpid.so.0"
        licenses = os.environ.get("LIMPID_LICENSES")
        for file in sorted(Path(licenses).glob("*")) if licenses else [RELEASE_BUILD.parents[2] / "LICENSE"]:
            build_data["force_include"][str(file)] = f"limpid/licenses/{file.name}"

    def stripped(self, library):
        """A copy without debug information, half as large, where there is a tool for it."""
        if not shutil.which("strip"):
            return library
        copy = Path(self.directory) / "liblimpid.so.0"
        copy.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["strip", "-o", str(copy), str(library)], check=True)
        return copy
