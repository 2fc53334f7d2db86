"""What a user of the wheel does first; and that all it loads is its own, glibc or libstdc++."""

import pathlib
import sys

import limpid

digits = pathlib.Path(sys.argv[1])
model = limpid.Model(digits / "scouter-positive.onnx")
image = digits / "images" / "8.png"
assert model.classify(image).argmax() == 8, model.classify(image)
why = model.explain(image)[0]
assert why.class_index == 8 and why.map.max() > why.map.min()
why.save("why.png")
assert pathlib.Path("why.png").read_bytes().startswith(b"\x89PNG")

package = pathlib.Path(limpid.__file__).parent
own = {package, package.parent / "limpid.libs"}
loaded = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}
for name in ("png", "jpeg"):
    assert all(pathlib.Path(path).parent in own for path in loaded if "lib" + name in path), loaded
assert len(list((package / "licenses").glob("*.txt"))) >= 5, "licences are missing"
print("Python", sys.version.split()[0], "with", limpid.__version__, "ok")
