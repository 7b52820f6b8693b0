/** A table of records: a header that stays, rows that are opened by a click or by the keyboard. */
import type { ComponentChildren } from "preact";

export interface Column<T> {
  key: string;
  title: ComponentChildren;
  cell: (row: T) => ComponentChildren;
  number?: boolean;
  width?: string;
}

export function Table<T>({ columns, rows, label, empty, onOpen, chosen, id }: {
  columns: Column<T>[]; rows: T[]; label: string; empty?: ComponentChildren; onOpen?: (row: T) => void; chosen?: (row: T) => boolean; id?: (row: T) => string;
}) {
  if (!rows.length && empty) return <div class="empty muted">{empty}</div>;
  const key = (e: KeyboardEvent, row: T) => {
    const at = e.currentTarget as HTMLElement;
    if (e.target !== at) return;
    if (e.key === "Enter" || e.key === " ") { e.preventDefault(); onOpen?.(row); }
    if (e.key === "ArrowDown") { e.preventDefault(); (at.nextElementSibling as HTMLElement | null)?.focus(); }
    if (e.key === "ArrowUp") { e.preventDefault(); (at.previousElementSibling as HTMLElement | null)?.focus(); }
  };
  return (
    <div class="tablebox" role="region" aria-label={label} tabIndex={0}>
      <table class="table">
        <thead><tr>{columns.map((c) => <th scope="col" class={c.number ? "number" : ""} style={{ width: c.width }}>{c.title}</th>)}</tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr data-id={id?.(row)} class={chosen?.(row) ? "on" : ""} tabIndex={onOpen ? 0 : undefined} onClick={onOpen && (() => onOpen(row))} onKeyDown={onOpen && ((e) => key(e, row))}>
              {columns.map((c) => <td class={c.number ? "number" : ""}>{c.cell(row)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
