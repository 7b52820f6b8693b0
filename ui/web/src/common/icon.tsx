/** Icons of one set and one stroke width, drawn from paths. */
import { iconPaths } from "../mapkit";
import { severity } from "../mapkit";

export function Icon({ name, size = 16 }: { name: string; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      {(iconPaths[name] ?? []).map((d) => <path d={d} />)}
    </svg>
  );
}

const SHAPES: Record<string, string> = { circle: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11z", triangle: "M8 1.5 15 13.5H1z", diamond: "M8 1 15 8 8 15 1 8z", ring: "M8 3a5 5 0 1 0 0 10a5 5 0 1 0 0-10z" };

/** The mark of a severity: its shape and its colour; filled while nobody has it in hand. */
export function Mark({ level, filled = true, size = 14 }: { level: number; filled?: boolean; size?: number }) {
  const { shape, token } = severity(level);
  const solid = filled && shape !== "ring";
  return (
    <svg class="mark" width={size} height={size} viewBox="0 0 16 16" style={{ color: `var(--${token})` }} aria-hidden="true">
      <path d={SHAPES[shape]} fill={solid ? "currentColor" : "none"} stroke="currentColor" stroke-width={solid ? 0 : 2} stroke-linejoin="round" />
    </svg>
  );
}
