// At viewer-request of /o and /o/*: viewers never name the prefix of keys. The functions of other behaviours add it.

function handler() {
  return {
    statusCode: 403,
    statusDescription: 'Forbidden',
    headers: { 'cache-control': { value: 'no-store' } },
  }
}
