"use strict";
// Save a figure as PNG, on white, at three times its size, or as large as a canvas may be.
async function asPng(name) {
  const svg = document.querySelector(`#figure-${name} svg`).cloneNode(true);
  const [, , width, height] = svg.getAttribute("viewBox").split(/[\s,]+/).map(Number);
  const scale = Math.min(3, 16000 / Math.max(width, height), Math.sqrt(2e8 / (width * height)));
  svg.setAttribute("width", Math.floor(scale * width));
  svg.setAttribute("height", Math.floor(scale * height));
  svg.setAttribute("style", "color: #1b1f24; background: white");
  const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
  style.textContent = "text { fill: currentColor }";
  svg.prepend(style);
  const image = new Image();
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(new XMLSerializer().serializeToString(svg));
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.floor(scale * width);
  canvas.height = Math.floor(scale * height);
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
