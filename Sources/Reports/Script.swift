/// Conveniences only: an image that is clicked is shown large.
let script: HTML = """
  (function () {
    "use strict";
    var dialog = document.createElement("dialog");
    if (!dialog.showModal) return;
    var large = document.createElement("img"), caption = document.createElement("p"), close = document.createElement("button");
    close.textContent = "Close";
    close.addEventListener("click", function () { dialog.close(); });
    dialog.append(large, close, caption);
    dialog.addEventListener("click", function (event) { if (event.target === dialog) dialog.close(); });
    document.body.append(dialog);
    function show(image) {
      large.src = image.src; large.alt = image.alt; caption.textContent = image.alt;
      dialog.showModal();
    }
    document.querySelectorAll("figure img").forEach(function (image) {
      image.tabIndex = 0;
      image.setAttribute("role", "button");
      image.setAttribute("aria-label", image.alt + " (enlarge)");
      image.addEventListener("click", function () { show(image); });
      image.addEventListener("keydown", function (event) {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show(image); }
      });
    });
  })();
  """
