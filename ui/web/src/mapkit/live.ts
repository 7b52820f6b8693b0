/** One WebSocket a tab: journal entries with their sequence, ticks, and binary frames of positions. */
import { decodeFrame, type Frame } from "./frame";

export interface Entry {
  type: "entry"; seq: number; at: string; class: string; action: string; actor: string; subject: string | null; kind: string | null;
  event: unknown | null; thing: { num: number; code: string; name: string; kind: string; point: [number, number] | null } | null;
}
export interface Tick { type: "tick"; time: string; seq: number; open?: number; late?: number }
export interface LiveHooks {
  entry?(entry: Entry): void;
  tick?(tick: Tick): void;
  frame?(frame: Frame): void;
  state?(open: boolean): void;
  /** After a reconnect: what the socket cannot repeat (positions) starts anew. */
  hello?(seq: number): void;
}

export class Live {
  private socket: WebSocket | null = null;
  private seq: number | null = null;
  private wait_ms = 500;
  private timer = 0;
  private closed = false;
  private layers: string[] = ["positions", "events", "things"];
  private bbox: [number, number, number, number] | null = null;

  constructor(private readonly hooks: LiveHooks, private readonly path = "/live") {
    this.open();
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.hurry());
  }

  subscribe(layers: string[], bbox: [number, number, number, number] | null = null): void {
    this.layers = layers;
    this.bbox = bbox;
    this.ask();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  private ask(): void {
    if (this.socket?.readyState === WebSocket.OPEN)
      this.socket.send(JSON.stringify({ subscribe: { layers: this.layers, bbox: this.bbox, after: this.seq } }));
  }

  private hurry(): void {
    if (this.closed || (this.socket && this.socket.readyState <= WebSocket.OPEN)) return;
    clearTimeout(this.timer);
    this.open();
  }

  private open(): void {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.path}`);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.wait_ms = 500;
      this.ask();
      this.hooks.state?.(true);
    };
    socket.onmessage = (message) => {
      if (message.data instanceof ArrayBuffer) return this.hooks.frame?.(decodeFrame(message.data));
      this.read(JSON.parse(message.data as string));
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.hooks.state?.(false);
      if (this.closed) return;
      this.timer = window.setTimeout(() => this.open(), this.wait_ms);
      this.wait_ms = Math.min(this.wait_ms * 2, 10_000);
    };
  }

  private read(said: Entry | Tick | { type: "hello"; seq: number }): void {
    if (said.type === "entry") {
      this.seq = Math.max(this.seq ?? 0, said.seq);
      this.hooks.entry?.(said);
    } else if (said.type === "tick") this.hooks.tick?.(said);
    else if (said.type === "hello") {
      this.seq ??= said.seq;
      this.hooks.hello?.(said.seq);
    }
  }
}
