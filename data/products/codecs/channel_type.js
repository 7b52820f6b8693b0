// Channel–type records: one byte channel, one byte type, then the value, little endian.
// The layout is common among LoRaWAN sensors; each record is skipped by the length of its type.
var TYPES = {
  0x75: ["battery", 1, function (b, i) { return b[i]; }],
  0x67: ["temperature", 2, function (b, i) { return s16(b, i) / 10; }],
  0x68: ["humidity", 1, function (b, i) { return b[i] / 2; }],
  0x69: ["moisture", 1, function (b, i) { return b[i] / 2; }],
  0xca: ["moisture", 2, function (b, i) { return u16(b, i) / 100; }],
  0x7f: ["conductivity", 2, function (b, i) { return u16(b, i); }],
  0x73: ["pressure", 2, function (b, i) { return u16(b, i) / 10; }],
  0x84: ["wind_direction", 2, function (b, i) { return u16(b, i) / 10; }],
  0x92: ["wind_speed", 2, function (b, i) { return u16(b, i) / 10; }],
  0x77: ["rainfall_total", 2, function (b, i) { return u16(b, i) / 100; }, 3]
};
var GASES = { 4: ["nh3", 100], 5: ["h2s", 100] };

function u16(b, i) { return b[i] | (b[i + 1] << 8); }
function s16(b, i) { var v = u16(b, i); return v > 0x7fff ? v - 0x10000 : v; }

function decodeUplink(input) {
  var b = input.bytes, data = {}, i = 0;
  while (i + 2 < b.length) {
    var channel = b[i], type = b[i + 1], rule = TYPES[type];
    i += 2;
    if (type === 0x7d && GASES[channel]) {
      var gas = GASES[channel], raw = u16(b, i);
      // 0xfffe: warming up, 0xffff: broken; neither is a value.
      if (raw < 0xfffe) data[gas[0]] = raw / gas[1];
      i += 2;
    } else if (rule) {
      data[rule[0]] = rule[2](b, i);
      i += rule[3] || rule[1];
    } else {
      return { errors: ["unknown type 0x" + type.toString(16) + " of channel " + channel] };
    }
  }
  return { data: data };
}
