// A picture to send: evening hills, drawn in the page, so that no file has to be kept.
export async function scene(page) {
  const base64 = await page.evaluate(draw);
  return { name: "hills.jpg", mimeType: "image/jpeg", buffer: Buffer.from(base64, "base64") };
}

// Runs in the page.
function draw() {
  const [width, height] = [960, 640];
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const brush = canvas.getContext("2d");
  const sky = brush.createLinearGradient(0, 0, 0, height);
  for (const [stop, colour] of [[0, "#1d2b64"], [0.55, "#f8cdda"], [1, "#f9a826"]]) sky.addColorStop(stop, colour);
  brush.fillStyle = sky;
  brush.fillRect(0, 0, width, height);
  brush.fillStyle = "#fff3c4";
  brush.beginPath();
  brush.arc(680, 330, 60, 0, 2 * Math.PI);
  brush.fill();
  for (const [level, colour] of [[380, "#6b5b95"], [450, "#45406e"], [530, "#252850"]]) {
    brush.fillStyle = colour;
    brush.beginPath();
    brush.moveTo(0, height);
    for (let x = 0; x <= width; x += 8) brush.lineTo(x, level + 46 * Math.sin(x / 110 + level));
    brush.lineTo(width, height);
    brush.fill();
  }
  return canvas.toDataURL("image/jpeg", 0.9).split(",")[1];
}
