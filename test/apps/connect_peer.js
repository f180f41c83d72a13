// An HTTP/2 server without TLS that takes extended CONNECT (RFC 8441): what is said on such a stream
// comes back in capitals. /refused is answered with 403.
//   connect_peer.js serve PORT    prints "opened", and "closed CODE" when a stream has ended
'use strict';
const http2 = require('http2');

const server = http2.createServer({settings: {enableConnectProtocol: true}});
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  if (headers[':method'] !== 'CONNECT' || headers[':protocol'] !== 'websocket') {
    stream.respond({':status': 400}, {endStream: true});
    return;
  }
  if (headers[':path'] === '/refused') {
    stream.respond({':status': 403, 'x-why': 'tea', 'content-length': '9'});
    stream.end('no entry\n');
    return;
  }
  console.log('opened');
  stream.on('close', () => console.log(`closed ${stream.rstCode}`));
  stream.respond({':status': 200, 'sec-websocket-protocol': 'tea'});
  stream.on('data', (piece) => stream.write(String(piece).toUpperCase()));
  stream.on('end', () => stream.end());
});
server.listen(Number(process.argv[process.argv.length - 1]), '0.0.0.0');
