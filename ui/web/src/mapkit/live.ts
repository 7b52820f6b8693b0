/** One WebSocket a tab: journal entries with their sequence, ticks, alarms, screens in step, binary frames of positions. */
import { decodeFrame, type Frame } from "./frame";

export interface Entry {
  type: "entry"; seq: number; at: string; class: string; action: string; actor: string; subject: string | null; kind: string | null;
  event: unknown | null; thing: { num: number; code: string; name: string; kind: string; point: [number, number] | null } | null;
}
export interface Tick { type: "tick"; time: string; seq: number; open?: number; late?: number }
/** What a screen of a room shows; what is not named stays as it is. */
export type WallState = Record<string, unknown>;
export interface Standing { screen: string; lead: boolean }
export interface LiveHooks {
  entry?(entry: Entry): void;
  tick?(tick: Tick): void;
  /** Places of what has moved, and what unpacking them cost. */
  frame?(frame: Frame, took_ms: number): void;
  state?(open: boolean): void;
  /** After a (re)connect: how many entries were missed and now follow; what the socket cannot repeat starts anew. */
  hello?(missed: number, again: boolean): void;
  /** Too much was missed to be repeated: read the lists anew. */
  reload?(): void;
  alarms?(alarms: unknown[]): void;
  wall?(state: WallState, from: string): void;
  room?(screens: Standing[]): void;
}
type Message = Entry | Tick | { type: "hello"; seq: number } | { type: "reload"; seq: number } | { type: "alarms"; alarms: unknown[] }
  | { type: "wall"; from: string; state: WallState } | { type: "room"; screens: Standing[] };

/** The server ticks every second: longer silence means a network that is gone without saying so. */
const SILENCE_MS = 6000;

export class Live {
  private socket: WebSocket | null = null;
  private seq: number | null = null;
  private wait_ms = 500;
  private timer = 0;
  private closed = false;
  private heard = 0;
  private layers: string[] = ["positions", "events", "things", "alarms"];
  private bbox: [number, number, number, number] | null = null;

  constructor(private readonly hooks: LiveHooks, private readonly path = "/live") {
    this.open();
    addEventListener("online", () => this.hurry());
    addEventListener("offline", () => this.drop());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.hurry());
    window.setInterval(() => {
      if (this.socket?.readyState === WebSocket.OPEN && performance.now() - this.heard > SILENCE_MS) this.drop();
    }, 1000);
  }

  subscribe(layers: string[], bbox: [number, number, number, number] | null = null): void {
    this.layers = layers;
    this.bbox = bbox;
    this.ask();
  }

  /** Say something to the room of this screen; silently nothing while there is no socket. */
  say(message: Record<string, unknown>): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  private ask(): void {
    this.say({ subscribe: { layers: this.layers, bbox: this.bbox, after: this.seq } });
  }

  /** Give a silent socket up at once: closing it properly would wait for a peer that does not answer. */
  private drop(): void {
    const old = this.socket;
    if (!old || this.closed) return;
    old.onclose = old.onmessage = old.onopen = null;
    old.close();
    this.lost();
  }

  private lost(): void {
    this.socket = null;
    this.hooks.state?.(false);
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.open(), this.wait_ms);
    this.wait_ms = Math.min(this.wait_ms * 2, 10_000);
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
      this.heard = performance.now();
      this.ask();
      this.hooks.state?.(true);
    };
    socket.onmessage = (message) => {
      this.heard = performance.now();
      if (message.data instanceof ArrayBuffer) {
        const began = performance.now();
        const frame = decodeFrame(message.data);
        return this.hooks.frame?.(frame, performance.now() - began);
      }
      this.read(JSON.parse(message.data as string));
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      if (this.closed) this.hooks.state?.(false);
      else this.lost();
    };
  }

  private read(said: Message): void {
    if (said.type === "entry") {
      this.seq = Math.max(this.seq ?? 0, said.seq);
      this.hooks.entry?.(said);
    } else if (said.type === "tick") {
      // All that this screen may see up to here has come before the tick: a reconnect need not ask for the rest.
      if (this.seq !== null) this.seq = Math.max(this.seq, said.seq);
      this.hooks.tick?.(said);
    } else if (said.type === "alarms") this.hooks.alarms?.(said.alarms);
    else if (said.type === "wall") this.hooks.wall?.(said.state, said.from);
    else if (said.type === "room") this.hooks.room?.(said.screens);
    else if (said.type === "reload") {
      this.seq = said.seq;
      this.hooks.reload?.();
    } else if (said.type === "hello") {
      const again = this.seq !== null;
      const missed = again ? Math.max(0, said.seq - this.seq!) : 0;
      this.seq ??= said.seq;
      this.hooks.hello?.(missed, again);
    }
  }
}
