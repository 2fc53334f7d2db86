// why MODEL IMAGE OUT.png [PREPROCESSING]: what an image shows, and why, drawn over it.
import Limpid

let words = CommandLine.arguments
guard words.count >= 4 else { fatalError("usage: why MODEL IMAGE OUT.png [PREPROCESSING]") }
let model = try Model(path: words[1], preprocess: words.count > 4 ? words[4] : nil)
let image = try Image(path: words[2])

let probabilities = try model.classify(image)
let why = try model.explain(image)[0]
print(why.label ?? "class \(why.classIndex)", probabilities[why.classIndex], "by", why.method)
try why.overlay(on: image, colormap: "turbo").write(to: words[3])
