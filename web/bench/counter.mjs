// A proxy in front of a local S3 that counts what the bucket transfers for pictures. Used by `transfer.mjs`, between the
// emulated distribution and the embedded S3 of another stack. It passes every byte on and never answers for S3, except
// for the bucket's CORS configuration, which the embedded S3 has from its start.

import { once } from 'node:events'
import { Agent, createServer, request as send } from 'node:http'

/** The pictures of the media bucket; manifests are read by the API, not by the distribution. */
const PICTURE = /^\/gatepost-media\/o\/media\/[^?]+\.(?:webp|jpg)(?:\?|$)/

/**
 * `{ endpoint, take, stop }`. `take` returns the requests for pictures and the bytes of their answers, headers included,
 * since it was called before.
 */
export async function startCounter(storage) {
  const upstream = new URL(storage)
  const agent = new Agent({ keepAlive: true })
  let counted = { requests: 0, bytes: 0 }
  const server = createServer((request, response) => {
    if (request.method === 'PUT' && /\?cors(?:=|&|$)/.test(request.url)) {
      request.resume()
      return response.writeHead(200).end()
    }
    const counts = request.method === 'GET' && PICTURE.test(request.url)
    const { hostname, port } = upstream
    const { method, url: path, rawHeaders: headers } = request
    // With the viewer's `Host`, which is signed.
    const forwarded = send({ agent, hostname, port, method, path, headers: pairs(headers), setHost: false })
    forwarded.on('response', (answer) => {
      if (counts) {
        counted.requests += 1
        counted.bytes += sizeOfHead(answer)
        answer.on('data', ({ length }) => (counted.bytes += length))
      }
      response.writeHead(answer.statusCode, answer.rawHeaders)
      answer.pipe(response)
    })
    forwarded.on('error', () => response.destroy())
    request.on('error', () => forwarded.destroy())
    request.pipe(forwarded)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${server.address().port}`,
    take() {
      const taken = counted
      counted = { requests: 0, bytes: 0 }
      return taken
    },
    stop() {
      server.close()
      server.closeAllConnections()
      agent.destroy()
    },
  }
}

/** Raw headers as a flat list of names and values, as pairs. */
function pairs(raw) {
  return Array.from({ length: raw.length / 2 }, (_, idx) => [raw[2 * idx], raw[2 * idx + 1]])
}

function sizeOfHead({ statusCode, statusMessage, rawHeaders }) {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`, ...pairs(rawHeaders).map((pair) => pair.join(': '))]
  return Buffer.byteLength(`${lines.join('\r\n')}\r\n\r\n`)
}
