import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { failure } from "../../support/api-server.ts";
import { failed, read } from "./one-answer.ts";

const bytes = (...parts: (string | readonly number[])[]): Buffer =>
  Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part))),
  );
const named = (...name: number[]): Buffer => bytes('[{"name":"', name, '"}]');
const swapped = (buffer: Buffer): Buffer => Buffer.from(buffer).swap16();

/** Reads one answer with this body, whose chunks have `size` bytes. */
const answering = (body: Buffer, type: string | undefined, more: Partial<RestApiOptions> = {}, size = 7) =>
  [
    (_asked: unknown, _count: unknown, response: import("node:http").ServerResponse) => {
      if (type !== undefined) response.setHeader("content-type", type);
      for (let at = 0; at < body.length; at += size) response.write(body.subarray(at, at + size));
      response.end();
      return undefined;
    },
    { schema: "name string", ...more },
  ] as const;

describe("the charset of a response", () => {
  const utf16 = Buffer.from('[{"name":"José"}]', "utf16le");

  it.each<[string | undefined, Buffer, string]>([
    ["application/json; charset=iso-8859-1", named(0x4a, 0xe9), "Jé"],
    ['application/json;CHARSET="ISO-8859-1"', named(0x4a, 0xe9), "Jé"],
    ["application/json; charset=windows-1252", named(0x80, 0x92), "€’"],
    ["application/json; version=1; charset=windows-1251", named(0xcf), "П"],
    ["application/json; charset=Shift_JIS", named(0x93, 0xfa), "日"],
    ["application/json; charset=gb18030", named(0xc4, 0xe3), "你"],
    ["application/json; charset=us-ascii", named(0x4a), "J"],
    ["application/json; charset=utf-16le", utf16, "José"],
    ["application/json; charset=utf-16be", swapped(utf16), "José"],
    ["application/json; charset=utf-16", bytes([0xfe, 0xff], [...swapped(utf16)]), "José"],
    ["application/json; charset=utf-16", bytes([0xff, 0xfe], [...utf16]), "José"],
    ["application/json; charset=UTF-16", swapped(utf16), "José"],
    ["application/json; charset=utf-8", named(0xc3, 0xa9), "é"],
    ["application/json", named(0xc3, 0xa9), "é"],
    [undefined, named(0xf0, 0x9f, 0x90, 0x8e), "🐎"],
    ["application/json", bytes([0xef, 0xbb, 0xbf], [...named(0xc3, 0xa9)]), "é"],
    ["application/json; charset=", named(0xc3, 0xa9), "é"],
  ])("A body of the type %s is decoded as it says", async (type, body, name) => {
    for (const size of [1, 2, 1000]) {
      const { rows } = await read(...answering(body, type, {}, size));
      expect(await rows).toEqual([{ name }]);
    }
  });

  it.each<[string | undefined, Buffer, string, number]>([
    ["application/json", named(0x4a, 0xe9), "utf-8", 11],
    [undefined, named(0xff), "utf-8", 10],
    ["application/json; charset=utf-8", bytes([0xff, 0xfe], [...utf16]), "utf-8", 0],
    ["application/json; charset=us-ascii", named(0x4a, 0xe9), "us-ascii", 11],
    ["application/json; charset=shift_jis", named(0x4a, 0xfd), "shift_jis", 11],
    ["application/json", bytes('[{"name":"', [0xed, 0xa0, 0x80], '"}]'), "utf-8", 10],
    ["application/json; charset=utf-16le", bytes([0x5b, 0, 0, 0xdc, 0x5d, 0]), "utf-16le", 2],
  ])(
    "A body of the type %s with a byte that is not in its charset is an error with its position",
    async (type, body, charset, position) => {
      for (const size of [1, 3, 1000]) {
        const error = await failed(...answering(body, type, {}, size));
        expect(error).toMatchObject({
          code: "HTTP_NOT_TEXT",
          message: `GET ${error.api.url} answered 200 with a body that is not in its charset, ${charset}: the byte at ${position} (from 0) cannot be decoded`,
          where: { url: error.api.url, status: 200 },
          retryable: false,
          hint: expect.stringContaining('`charset: "windows-1252"`'),
        });
        expect(error.api.asked).toHaveLength(1);
      }
    },
  );

  it("A body in a charset that is unknown is an error that names it", async () => {
    const error = await failed(...answering(named(0x4a), "application/json; charset=utf-7"));
    expect(error).toMatchObject({
      code: "HTTP_NOT_TEXT",
      message: expect.stringContaining('"utf-7", which is unknown'),
    });
  });

  it("The option charset overrides what the response says", async () => {
    const { rows } = await read(
      ...answering(named(0x80), "application/json; charset=utf-8", { charset: "windows-1252" }),
    );
    expect(await rows).toEqual([{ name: "€" }]);
  });

  it("A body that ends in the middle of a character was cut, and is asked for again", async () => {
    const error = await failed(
      ...answering(named(0xc3, 0xa9).subarray(0, 11), "application/json", { maxRetries: 1 }),
    );
    expect(error).toMatchObject({ code: "HTTP_FAILED", retryable: true });
    expect(error.message).toContain("ends in the middle of a character");
    expect(error.api.asked).toHaveLength(2);
  });

  it("The position of a wrong byte counts bytes after decompression", async () => {
    const body = gzipSync(bytes(" ".repeat(100_000), [...named(0xe9)]));
    const { rows, api } = await read(
      (_asked, _count, response) => {
        response.writeHead(200, { "content-encoding": "gzip" }).end(body);
        return undefined;
      },
      { schema: "name string" },
    );
    const error = await failure(() => rows);
    expect(error.message).toContain(`GET ${api.url} answered 200`);
    expect(error.message).toContain("the byte at 100010 ");
  });

  it("The error body of an API is shown in its charset, though it does not decode", async () => {
    const error = await failed((_asked, _count, response) => {
      response
        .writeHead(400, { "content-type": "text/plain; charset=latin1" })
        .end(bytes("pas autoris", [0xe9]));
      return undefined;
    });
    expect(error.found).toBe("pas autorisé");
    const broken = await failed((_asked, _count, response) => {
      response.writeHead(400, { "content-type": "text/plain; charset=x" }).end(bytes("autoris", [0xe9]));
      return undefined;
    });
    expect(broken).toMatchObject({ code: "HTTP_STATUS", found: "autoris\ufffd" });
  });
});
