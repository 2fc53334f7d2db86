"""The words that filters can be named with, and their vectors.

Published models use GloVe's vectors, learnt from text. Eighteen words about digits need less: a digit's vector has an axis
of its own and one for each trait of its shape, and a trait's vector points along its axis. Words for similar things are
similar, which is all that LaViSE asks of word vectors.
"""

import numpy as np

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TRAITS = {
    "loop": "zero six eight nine",
    "straight": "one four seven",
    "curve": "two three five six nine",
    "bar": "two five seven",
    "crossing": "four eight",
    "angle": "four seven",
    "round": "zero eight",
    "open": "two three five",
}
WORDS = (*DIGITS, *TRAITS)


def vectors():
    """float32 [words, 18], of length 1."""
    axes = np.eye(len(WORDS), dtype=np.float32)
    table = axes.copy()
    for trait, digits in TRAITS.items():
        for digit in digits.split():
            table[WORDS.index(digit)] += 0.6 * axes[WORDS.index(trait)]
            table[WORDS.index(trait)] += 0.1 * axes[WORDS.index(digit)]
    return table / np.linalg.norm(table, axis=1, keepdims=True)


def save(path):
    """GloVe's text format."""
    with open(path, "w") as file:
        for word, vector in zip(WORDS, vectors()):
            file.write(f"{word} {' '.join(f'{x:.6f}' for x in vector)}\n")
