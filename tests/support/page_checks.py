"""Scripts that check a page in a browser."""

# The contrast of all text with its background, as WCAG 2 defines it. The tint of a table cell is
# part of the background.
CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (at.matches("td.bar")) return [rgba(getComputedStyle(document.documentElement).getPropertyValue("--h2"))];
      const colour = rgba(style.backgroundColor);
      if (colour[3] === 255) return [colour];
    }
    return [[255, 255, 255, 255]];
  };
  const worst = {};
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || element.closest("title, style, .skip") || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const front = light(rgba(element.ownerSVGElement ? style.fill : style.color));
    for (const back of behind(element).map(light)) {
      const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
      const name = `${element.tagName}.${element.getAttribute("class") || ""}`;
      worst[name] = Math.min(worst[name] ?? 99, ratio);
    }
  }
  return worst;
})()
"""
