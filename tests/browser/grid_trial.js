// Ten thousand numbered pictures (or ?count=N), made here, to try the grid and the viewer.
"use strict";

const count = Number(new URLSearchParams(location.search).get("count") ?? 10000);

// Pictures of 84 pixels, as in a build; more than a hundred would only take memory.
const N_PICTURES = 100;
const addresses = Array.from({ length: N_PICTURES }, (_, number) => drawPicture(number));

function drawPicture(number) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 84;
  const pen = canvas.getContext("2d");
  pen.fillStyle = `hsl(${(number * 47) % 360} 60% 70%)`;
  pen.fillRect(0, 0, 84, 84);
  pen.fillStyle = "#000";
  pen.font = "30px sans-serif";
  pen.fillText(number, 20, 52);
  return canvas.toDataURL("image/png");
}

function pictureAddress(index) {
  return addresses[index % N_PICTURES];
}

const viewer = new PictureViewer({
  count,
  address: pictureAddress,
  draw(view, index) {
    view.title.textContent = `picture ${index}`;
    view.showFacts([["number", index]]);
  },
  close(index) {
    grid.focus(index);
    grid.element.focus();
  },
});
const grid = new PictureGrid(document.getElementById("grid"), {
  count,
  drawCell(cell, index) {
    cell.showPicture(pictureAddress(index));
    cell.caption.textContent = `picture ${index}`;
  },
  openCell(index) {
    viewer.open(index);
  },
});
