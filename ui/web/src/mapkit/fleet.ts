/** The layer of moving things: one buffer, one drawing, gliding on the graphics card. */
import { Layer, picking, project32, type DefaultProps } from "@deck.gl/core";
import type { Buffer, Texture } from "@luma.gl/core";
import { Geometry, Model } from "@luma.gl/engine";
import { GLIDE_MS, LOOKS, RECORD, type Movers } from "./movers";

const block = `\
layout(std140) uniform fleetUniforms {
  vec4 sizes;
  vec4 frame0;
  vec4 frame1;
  vec4 frame2;
  vec4 frame3;
  vec2 atlas;
  float now;
  float glide;
} fleet;
`;

const fleetModule = {
  name: "fleet", vs: block, fs: block,
  uniformTypes: {
    sizes: "vec4<f32>", frame0: "vec4<f32>", frame1: "vec4<f32>", frame2: "vec4<f32>", frame3: "vec4<f32>", atlas: "vec2<f32>", now: "f32", glide: "f32",
  },
} as const;

const vs = `\
#version 300 es
#define SHADER_NAME fleet-vertex
in vec2 positions;
in vec4 place;
in vec4 moved;
in vec4 ink;
in float look;
out vec4 vInk;
out vec2 vAt;
void main(void) {
  int n = int(look + 0.5);
  vec4 frame = n == 0 ? fleet.frame0 : n == 1 ? fleet.frame1 : n == 2 ? fleet.frame2 : fleet.frame3;
  float left = 1.0 - clamp((fleet.now - moved.z) / fleet.glide, 0.0, 1.0);
  float a = radians(moved.w);
  vec2 corner = mat2(cos(a), -sin(a), sin(a), cos(a)) * positions * 0.5 * fleet.sizes[n];
  geometry.worldPosition = vec3(place.xy, 0.0);
  geometry.uv = positions;
  geometry.pickingColor = picking_getPickingColorFromInstanceID();
  vec3 low = vec3(place.zw + moved.xy * left, 0.0);
  gl_Position = project_position_to_clipspace(geometry.worldPosition, low, vec3(project_pixel_size(corner * vec2(1.0, -1.0)), 0.0), geometry.position);
  DECKGL_FILTER_GL_POSITION(gl_Position, geometry);
  vAt = (frame.xy + frame.zw * (positions + 1.0) / 2.0) / fleet.atlas;
  vInk = ink;
  DECKGL_FILTER_COLOR(vInk, geometry);
}
`;

const fs = `\
#version 300 es
#define SHADER_NAME fleet-fragment
precision highp float;
uniform sampler2D marks;
in vec4 vInk;
in vec2 vAt;
out vec4 fragColor;
void main(void) {
  float a = texture(marks, vAt).a * vInk.a;
  if (a < 0.05) discard;
  fragColor = vec4(vInk.rgb, a);
  DECKGL_FILTER_COLOR(fragColor, geometry);
}
`;

interface FleetProps {
  movers?: Movers | null;
  iconAtlas?: unknown;
  iconMapping?: Record<string, { x: number; y: number; width: number; height: number }>;
  /** Pixels of each look, in the order of `LOOKS`. */
  sizes?: number[];
  sizeScale?: number;
}

const defaultProps: DefaultProps<FleetProps> = {
  movers: { type: "object", value: null, compare: false },
  iconAtlas: { type: "image", value: null, async: true } as never,
  iconMapping: { type: "object", value: {} },
  sizes: { type: "array", value: [15, 16, 17, 18] },
  sizeScale: 1,
};

interface FleetState { model: Model; buffer: Buffer | null; version: number }

export class FleetLayer extends Layer<Required<FleetProps>> {
  static layerName = "FleetLayer";
  static defaultProps = defaultProps as never;
  declare state: FleetState & Layer["state"];

  /** The records are read as they lie: no attribute is computed for any thing. */
  _getAttributeManager(): never { return null as never; }

  getNumInstances(): number { return this.props.movers?.count ?? 0; }

  getShaders(): unknown { return super.getShaders({ vs, fs, modules: [project32, picking, fleetModule] }); }

  initializeState(): void {
    const model = new Model(this.context.device, {
      ...(this.getShaders() as { vs: string; fs: string }), id: this.props.id, isInstanced: true,
      geometry: new Geometry({ topology: "triangle-strip", attributes: { positions: { size: 2, value: new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]) } } }),
      bufferLayout: [{
        name: "records", stepMode: "instance", byteStride: RECORD,
        attributes: [
          { attribute: "place", format: "float32x4", byteOffset: 0 }, { attribute: "moved", format: "float32x4", byteOffset: 16 },
          { attribute: "ink", format: "unorm8x4", byteOffset: 32 }, { attribute: "look", format: "float32", byteOffset: 36 },
        ],
      }],
    });
    this.setState({ model, buffer: null, version: -1 });
  }

  finalizeState(context: never): void {
    super.finalizeState(context);
    this.state.buffer?.destroy();
  }

  /** Draw once more: time has gone on. */
  redraw(): void {
    if (this.internalState) this.setNeedsRedraw();
  }

  /** Hand the records to the card, when they were written anew. */
  private upload(movers: Movers): void {
    const { model, version } = this.state;
    if (version === movers.version) return;
    const bytes = movers.records.subarray(0, Math.max(1, movers.count) * RECORD);
    if ((this.state.buffer?.byteLength ?? 0) < bytes.byteLength) {
      this.state.buffer?.destroy();
      this.state.buffer = this.context.device.createBuffer({ byteLength: movers.records.byteLength });
      model.setAttributes({ records: this.state.buffer });
    }
    this.state.buffer!.write(bytes);
    this.state.version = movers.version;
    model.setInstanceCount(movers.count);
  }

  draw(): void {
    const { movers, iconMapping, sizes, sizeScale } = this.props;
    const marks = this.props.iconAtlas as Texture | null;
    if (!movers || !marks) return;
    this.upload(movers);
    if (!movers.count) return;
    const frames = LOOKS.map((look) => iconMapping[look]).map((m) => (m ? [m.x, m.y, m.width, m.height] : [0, 0, 0, 0]));
    const { model } = this.state;
    model.shaderInputs.setProps({
      fleet: {
        sizes: sizes.map((px) => px * sizeScale), frame0: frames[0], frame1: frames[1], frame2: frames[2], frame3: frames[3],
        atlas: [marks.width, marks.height], now: performance.now() - movers.base, glide: GLIDE_MS, marks,
      },
    } as never);
    model.draw(this.context.renderPass);
  }
}
