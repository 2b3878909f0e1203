/** A picture as a person would upload it: a PNG of some size, made here so that it need not be kept. */
import { crc32, deflateSync } from 'node:zlib';

/** A rope around an obstacle, more or less. */
export function drawPicture(width = 640, height = 240): Buffer {
  const rows = Array.from({ length: height }, (_, y) => {
    const row = Buffer.alloc(1 + width * 3);
    for (let x = 0; x < width; x++) row.set(colourAt(x / width, y / height), 1 + x * 3);
    return row;
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Eight bits a channel, red, green and blue.
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function colourAt(x: number, y: number): readonly [number, number, number] {
  const rope = 0.5 + 0.28 * Math.sin(x * 2 * Math.PI);
  if (Math.abs(y - rope) < 0.045) return [214, 158, 46];
  const isObstacle = Math.hypot((x - 0.5) * 2.66, y - 0.5) < 0.14;
  return isObstacle
    ? [45, 55, 72]
    : [44 + Math.round(90 * y), 122 + Math.round(60 * y), 160 + Math.round(60 * x)];
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), framed.length - 4);
  return framed;
}

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
