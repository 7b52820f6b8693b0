/** A faint mark of who looks and when, so that a photograph of a screen can be traced. */
export function watermark(host: HTMLElement, who: string): () => void {
  const el = document.createElement("div");
  el.className = "watermark";
  el.setAttribute("aria-hidden", "true");
  host.append(el);
  const draw = () => {
    const canvas = document.createElement("canvas");
    const ratio = Math.min(2, devicePixelRatio || 1);
    canvas.width = 420 * ratio;
    canvas.height = 260 * ratio;
    const ctx = canvas.getContext("2d")!;
    ctx.scale(ratio, ratio);
    ctx.rotate((-18 * Math.PI) / 180);
    ctx.font = "13px sans-serif";
    ctx.fillStyle = "#808a8a";
    ctx.fillText(`${who}  ${new Date().toLocaleString("sv-SE", { timeZone: "Asia/Shanghai" }).slice(0, 16)}`, 20, 190);
    el.style.backgroundImage = `url(${canvas.toDataURL()})`;
    el.style.backgroundSize = "420px 260px";
  };
  draw();
  const timer = setInterval(draw, 60_000);
  return () => {
    clearInterval(timer);
    el.remove();
  };
}
