"""Accuracy of the converted models on the held-out digits, from PNG files: `python evaluate.py`.

Each picture is encoded, decoded and preprocessed as the model's own metadata says. torch is not needed.
"""

import io
import pathlib

import numpy as np
import onnxruntime
from PIL import Image

import digits

HERE = pathlib.Path(__file__).parent
SIGNS = ("positive", "negative")
LARGE = 216  # side of the enlarged pictures in images/large


class Model:
    """A converted model in ONNX Runtime."""

    def __init__(self, sign):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(HERE / f"scouter-{sign}.onnx", options)
        self.side = self.session.get_inputs()[0].shape[2]
        steps = self.session.get_modelmeta().custom_metadata_map["limpid.preprocess"]
        expected = (f"gray\nresize exact {self.side} {self.side} bilinear\nscale 1/255\n"
                    f"normalize mean {digits.MEAN} std {digits.STD} float64")
        if steps != expected:
            raise SystemExit(f"scouter-{sign}.onnx asks for preprocessing not done here:\n{steps}")

    def run(self, files):
        """Logits [N, 10] and attention [N, 10, 9, 9] for pictures given as the bytes of PNG files."""
        pictures = [np.asarray(Image.open(io.BytesIO(file)).convert("L")) for file in files]
        x = digits.normalize(np.stack([digits.enlarge(picture, self.side) for picture in pictures]))
        return self.session.run(["logits", "attention"], {"input": x[:, None].astype(np.float32)})


def png(picture, side=None):
    """A grey picture as the bytes of a PNG file, enlarged to `side` if given."""
    image = Image.fromarray(picture)
    if side:
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def main():
    pictures, labels = digits.load()
    _, held_out = digits.split(labels)
    for sign in SIGNS:
        model = Model(sign)
        for side in (None, LARGE):
            logits, _ = model.run([png(pictures[i], side) for i in held_out])
            right = int((logits.argmax(1) == labels[held_out]).sum())
            share = right / len(held_out)
            print(f"{sign}, {side or 8}x{side or 8} files: {right} of {len(held_out)} right, {share:.4f}")


if __name__ == "__main__":
    main()
