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
  const view = new DataView(buffer);
  if (buffer.byteLength < HEAD || view.getUint32(0, true) !== MAGIC) throw new Error("not a position frame");
  const count = view.getUint32(4, true);
  if (buffer.byteLength < HEAD + count * EACH) throw new Error("a position frame was cut off");
  const lon0 = view.getFloat64(8, true);
  const lat0 = view.getFloat64(16, true);
  const frame: Frame = {
    count, t_ms: view.getFloat64(24, true),
    num: new Uint32Array(count), lon: new Float64Array(count), lat: new Float64Array(count),
    heading: new Uint16Array(count), status: new Uint8Array(count), flags: new Uint8Array(count),
  };
  for (let i = 0, at = HEAD; i < count; i++, at += EACH) {
    frame.num[i] = view.getUint32(at, true);
    frame.lon[i] = lon0 + view.getFloat32(at + 4, true);
    frame.lat[i] = lat0 + view.getFloat32(at + 8, true);
    frame.heading[i] = view.getUint16(at + 12, true);
    frame.status[i] = view.getUint8(at + 14);
    frame.flags[i] = view.getUint8(at + 15);
  }
  return frame;
}

export const STALE = 1;
export const CREW = 2;
