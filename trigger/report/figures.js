"use strict";
// Save a figure as PNG, on white, at three times its size.
async function asPng(name) {
  const svg = document.querySelector(`#figure-${name} svg`).cloneNode(true);
  const [, , width, height] = svg.getAttribute("viewBox").split(/[\s,]+/).map(Number);
  svg.setAttribute("width", 3 * width);
  svg.setAttribute("height", 3 * height);
  svg.setAttribute("style", "color: #1b1f24; background: white");
  const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
  style.textContent = "text { fill: currentColor }";
  svg.prepend(style);
  const image = new Image();
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(new XMLSerializer().serializeToString(svg));
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 3 * width;
  canvas.height = 3 * height;
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/png");
}
document.addEventListener("click", async (event) => {
  const name = event.target.dataset && event.target.dataset.png;
  if (name) {
    const link = document.createElement("a");
    link.href = await asPng(name);
    link.download = `${name}.png`;
    link.click();
  }
});
