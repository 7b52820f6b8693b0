/** The binary frame of moving things: header of 32 bytes, then 16 bytes each, little endian. */
export interface Frame {
  count: number;
  t_ms: number;
  num: Uint32Array;
  lon: Float64Array;
  lat: Float64Array;
  heading: Uint16Array;
  status: Uint8Array;
  flags: Uint8Array;
}

const MAGIC = 0x3150564c; // "LVP1"
const HEAD = 32;
const EACH = 16;

export function decodeFrame(buffer: ArrayBuffer): Frame {
  if (buffer.byteLength < HEAD) throw new Error("not a position frame");
  const head = new DataView(buffer, 0, HEAD);
  if (head.getUint32(0, true) !== MAGIC) throw new Error("not a position frame");
  const count = head.getUint32(4, true);
  if (buffer.byteLength < HEAD + count * EACH) throw new Error("a position frame was cut off");
  const lon0 = head.getFloat64(8, true);
  const lat0 = head.getFloat64(16, true);
  const frame: Frame = {
    count, t_ms: head.getFloat64(24, true),
    num: new Uint32Array(count), lon: new Float64Array(count), lat: new Float64Array(count),
    heading: new Uint16Array(count), status: new Uint8Array(count), flags: new Uint8Array(count),
  };
  // Every field lies at a multiple of its width: the records are read as arrays, not byte by byte.
  const [words, floats, halves, bytes] = [new Uint32Array(buffer, HEAD), new Float32Array(buffer, HEAD), new Uint16Array(buffer, HEAD), new Uint8Array(buffer, HEAD)];
  for (let i = 0, at = 0; i < count; i++, at += EACH / 4) {
    frame.num[i] = words[at]!;
    frame.lon[i] = lon0 + floats[at + 1]!;
    frame.lat[i] = lat0 + floats[at + 2]!;
    frame.heading[i] = halves[at * 2 + 6]!;
    frame.status[i] = bytes[at * 4 + 14]!;
    frame.flags[i] = bytes[at * 4 + 15]!;
  }
  return frame;
}

export const STALE = 1;
export const CREW = 2;
