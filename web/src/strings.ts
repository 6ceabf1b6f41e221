// All texts of the page in one place: to localise it, translate this file and set `LOCALE`. Imported by every module
// that shows text. It has no logic except plurals and the formats of numbers and dates. (The development sign-in page is
// plain HTML with its own texts.)

// British English, like the server's sentences: "JPEG, PNG or WebP".
const LOCALE = 'en-GB'

const whole = new Intl.NumberFormat(LOCALE)
const decimal = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: 1, maximumFractionDigits: 1 })
const moment = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'long', timeStyle: 'short' })
const plural = new Intl.PluralRules(LOCALE)
const alternatives = new Intl.ListFormat(LOCALE, { type: 'disjunction', style: 'short' })

export const strings = {
  product: 'Gatepost',

  header: {
    signOut: 'Sign out',
    signOutDuringUploads: 'Some photos have not been sent yet. Sign out, and give them up?',
    signedInAs: 'Signed in as',
  },

  welcome: {
    title: 'Your photos, behind your gate.',
    lead: 'Drop a photo and see it seconds later, sharp on every screen. Nobody opens it but you.',
    signIn: 'Sign in',
    points: [
      {
        title: 'Straight to storage',
        text: 'Files go from your browser to storage directly. Nothing waits in between.',
      },
      {
        title: 'Checked and resized',
        text: 'Each photo is verified and made ready for phone, laptop and large screen.',
      },
      { title: 'Yours alone', text: 'Every single view is authorized at the edge, even when it comes from a cache.' },
    ],
  },

  session: {
    over: 'Your session has ended. Sign in again to go on; nothing on this page is lost.',
    signIn: 'Sign in',
    unreachable: 'Gatepost can’t be reached right now.',
    retry: 'Try again',
  },

  signIn: {
    none: 'Nobody can sign in here yet: this site’s configuration doesn’t say how.',
    failed: (reason: string) => `Signing in didn’t work (${reason}). Please try again.`,
    refused: 'You were signed in, but this site doesn’t accept this sign-in. Please contact its owner.',
    nobody: 'You were signed in, but your account has no user ID, so you can’t have photos here.',
    noCookie:
      'You were signed in, but your browser didn’t keep the session. Allow cookies for this site and try again.',
  },

  intake: {
    title: 'Add photos',
    choose: 'Choose photos',
    ways: 'or drop them anywhere on this page, or paste',
    limits: (types: readonly string[], maxBytes: number) => `${anyOf(types)}, up to ${size(maxBytes, Math.floor)} each`,
    drop: 'Drop to upload',
    pasted: (at: Date) => `Pasted ${at.toISOString().slice(0, 19).replace('T', ' ').replaceAll(':', '.')}`,
  },

  uploads: {
    title: 'Uploads',
    clear: 'Clear finished',
    waiting: 'Waiting',
    preparing: 'Preparing',
    interrupted: 'The connection was lost. It will be tried again by itself',
    offline: 'You are offline. It will go on when the connection is back',
    sending: (sent: number, total: number) => `${size(sent)} of ${size(total)}`,
    processing: 'Checking and resizing',
    processingLong: 'Still working on it. You can leave this page; the photo will turn up in your gallery',
    ready: (bytes: number) => `Ready · ${size(bytes)}`,
    progressOf: (name: string) => `Upload of ${name}`,
    cancel: (name: string) => `Cancel ${name}`,
    dismiss: (name: string) => `Remove ${name} from this list`,
    retry: 'Try again',
    retryOf: (name: string) => `Try ${name} again`,
    retryAll: 'Try all again',
    open: (name: string) => `Open ${name}`,
    inTitle: (done: number, all: number) =>
      `${whole.format(done)} of ${whole.format(all)} uploaded · ${strings.product}`,
    summary: (done: number, all: number, troubled: number) =>
      (done === all
        ? `${whole.format(all)} ${count(all, 'upload', 'uploads')}`
        : `${whole.format(done)} of ${whole.format(all)} done`) +
      (troubled > 0 ? ` · ${whole.format(troubled)} ${count(troubled, 'needs', 'need')} attention` : ''),
  },

  refusal: {
    heic: 'HEIC photos can’t be shown by most browsers. Please export this photo as JPEG. For new photos, choose Settings › Camera › Formats › Most Compatible on an iPhone, or turn off high efficiency pictures in the camera settings of a Samsung phone.',
    type: (types: readonly string[]) => `This isn’t a photo we can accept. Please choose a ${anyOf(types)} image.`,
    // The server's sentence.
    svg: 'SVG and other XML files are not accepted, because they can carry scripts. Please export the drawing as PNG.',
    empty: 'This file is empty.',
    // The server's wording. The size is rounded up and the limit down, so that they differ.
    size: (bytes: number, maxBytes: number) =>
      `This file is ${size(bytes, Math.ceil)}. The limit is ${size(maxBytes, Math.floor)}. Please upload a smaller version.`,
    unnamed: 'This photo couldn’t be accepted.',
  },

  fault: {
    unreachable: 'The connection was lost. Check your network and try again.',
    sessionOver: 'Your session ended before this could be sent. Sign in and try again.',
    notProcessed: 'This photo has arrived, but it couldn’t be processed. It is kept.',
    unreadable: 'This file can’t be read any more. It may have been moved or changed.',
    unexpected: 'Something went wrong on our side. Please try again.',
    unexpectedWithId: (id: string) => `Something went wrong on our side. Please try again. (Reference ${id})`,
    storageOther: 'Storage didn’t accept this file. Please try again.',
    /** By S3's error code. */
    storage: {
      AccessDenied: 'The permission to upload has run out. Please try again.',
      BadDigest: 'The file changed on its way. Please try again.',
      EntityTooLarge: 'The file is larger than was announced.',
      EntityTooSmall: 'The file is smaller than was announced. It may have changed since you chose it.',
      ExpiredToken: 'The permission to upload has run out. Please try again.',
      InternalError: 'Storage had a hiccup. Please try again.',
      RequestTimeout: 'The connection was too slow. Please try again.',
      ServiceUnavailable: 'Storage is busy. Please try again in a moment.',
      SlowDown: 'Storage is busy. Please try again in a moment.',
      XAmzContentChecksumMismatch: 'The file changed on its way. Please try again.',
    } as Record<string, string>,
  },

  gallery: {
    title: 'Your photos',
    retry: 'Try again',
    more: 'Load more',
    loading: 'Loading photos',
    emptyTitle: 'No photos yet',
    emptyText: 'The first one you add will appear here.',
    failed: 'Your photos couldn’t be loaded.',
    photo: (createdAt: string) => `Photo from ${moment.format(new Date(createdAt))}`,
  },

  lightbox: {
    label: 'Photo',
    close: 'Close',
    previous: 'Previous photo',
    next: 'Next photo',
    open: 'Open in a new tab',
    copyLink: 'Copy a link to share',
    copied: (expiresAt: string) =>
      `Link copied. Anyone who has it can see this photo until ${moment.format(new Date(expiresAt))}.`,
    notCopied: 'The link couldn’t be copied. Here it is:',
    remove: 'Delete',
    removeForGood: 'Delete this photo for good?',
    removed: 'The photo was deleted.',
    broken: 'This photo couldn’t be loaded.',
    taken: (createdAt: string) => moment.format(new Date(createdAt)),
    facts: (width: number, height: number, bytes: number) =>
      `${whole.format(width)} × ${whole.format(height)} · ${size(bytes)}`,
  },

  announce: {
    started: (n: number) => `Uploading ${whole.format(n)} ${count(n, 'photo', 'photos')}.`,
    ready: (name: string) => `${name} is ready.`,
    rejected: (name: string, reason: string) => `${name} was not accepted. ${reason}`,
    failed: (name: string, reason: string) => `${name} was not uploaded. ${reason}`,
    notProcessed: (name: string, reason: string) => `${name} is not in your photos yet. ${reason}`,
    cancelled: (name: string) => `${name} was cancelled.`,
    deleted: (name: string) => `${name} was deleted.`,
    notDeleted: (name: string) =>
      `A copy of ${name} couldn’t be deleted. If it appears in your photos, delete it there.`,
    interrupted: 'The connection was lost. The uploads will go on by themselves.',
    skipped: (n: number) => `${whole.format(n)} ${count(n, 'file', 'files')} of the system skipped.`,
    already: (name: string) => `${name} is already being uploaded.`,
    loaded: (n: number) => `${whole.format(n)} more ${count(n, 'photo', 'photos')} loaded.`,
    position: (index: number, all: number) => `Photo ${whole.format(index + 1)} of ${whole.format(all)}`,
  },
}

const TYPE_NAMES: Record<string, string> = {
  'image/gif': 'GIF',
  'image/jpeg': 'JPEG',
  'image/png': 'PNG',
  'image/webp': 'WebP',
}

/** The common names of content types. */
function anyOf(types: readonly string[]): string {
  return alternatives.format(types.map((type) => TYPE_NAMES[type] ?? type))
}

/** Bytes in readable form, in the binary units of the configured limits: 1 MB is 1,048,576 bytes. */
function size(bytes: number, round = Math.round): string {
  if (bytes < 1000) return `${whole.format(bytes)} B`
  const kib = bytes / 1024
  if (kib < 1000) return `${whole.format(Math.max(1, round(kib)))} KB`
  const mib = kib / 1024
  return `${Number.isInteger(mib) ? whole.format(mib) : decimal.format(round(mib * 10) / 10)} MB`
}

function count(n: number, one: string, other: string): string {
  return plural.select(n) === 'one' ? one : other
}
