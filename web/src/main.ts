// Assembles the page: the session decides between the welcome and the gallery, a person who returns from an identity
// provider is signed in, and the modules are connected. Loaded by index.html. It never holds state of its own.

import './styles/base.css'
import './styles/welcome.css'
import './styles/intake.css'
import './styles/uploads.css'
import './styles/gallery.css'
import './styles/lightbox.css'

import { isRubbish } from './admission'
import { Announcer } from './announcer'
import { Api } from './api'
import { begin, complete, isArrival } from './code-flow'
import { element } from './element'
import { Fault, sentenceFor } from './fault'
import { Gallery } from './gallery'
import { Intake } from './intake'
import mark from './mark.svg'
import { Queue } from './queue'
import { Recovery } from './recovery'
import { returnPath } from './return-path'
import { currentSession, isPerson, type Person, type Renewal, SessionWatch, SIGN_IN, startSession } from './session'
import { fetchSettings, type Settings } from './settings'
import { SignedUrls } from './signed-urls'
import { strings } from './strings'
import { Tabs } from './tabs'
import { UploadList } from './upload-list'
import { Uploads } from './uploads'
import { welcome } from './welcome'

const page = document.querySelector<HTMLElement>('#page') ?? document.body

const query = new URLSearchParams(location.search)
// A code can be used once, and must not stay in the history.
history.replaceState(null, '', '/')
void start()

async function start(before?: Arrived): Promise<void> {
  let arrival = before
  try {
    const settings = await fetchSettings()
    arrival ??= await arrive(settings, query)
    const session = await currentSession()
    if (session !== null && !isPerson(session)) return showWelcome(settings, strings.signIn.nobody)
    if ('failed' in arrival)
      return session === null ? showWelcome(settings, arrival.failed) : showApp(settings, session)
    if (session !== null) {
      // Only now: without a session that page would redirect here again.
      if (arrival.returnTo !== '/') return location.replace(arrival.returnTo)
      return showApp(settings, session, arrival.renewal)
    }
    if (arrival.renewal) return showWelcome(settings, strings.signIn.noCookie)
    const leadsTo = query.has('sign_in') ? await wayOut(settings, query.get('return_to')) : null
    if (leadsTo === null) showWelcome(settings)
    else location.assign(leadsTo)
  } catch {
    const retry = element('button', { type: 'button', class: 'button' }, strings.session.retry)
    retry.addEventListener('click', () => void start(arrival))
    page.replaceChildren(
      header(),
      element('main', { class: 'unreachable', role: 'alert' }, element('p', {}, strings.session.unreachable), retry),
    )
  }
}

/** The result of opening the page: a session from an identity provider, a failure, or neither. */
type Arrived = { returnTo: string; renewal?: Renewal } | { failed: string }

async function arrive({ sign_in: way }: Settings, query: URLSearchParams): Promise<Arrived> {
  if (way === null || !('authorize' in way) || !isArrival(query)) return { returnTo: '/' }
  const arrival = await complete(way, query)
  if ('failed' in arrival) return { failed: strings.signIn.failed(arrival.failed) }
  try {
    return { returnTo: arrival.returnTo, renewal: await startSession(arrival.token) }
  } catch (error) {
    return {
      failed: error instanceof Fault && error.kind === 'session-over' ? strings.signIn.refused : sentenceFor(error),
    }
  }
}

/** Where people sign in, and where they return to. */
async function wayOut({ sign_in: way }: Settings, returnTo: string | null): Promise<string | null> {
  if (way === null) return null
  if ('authorize' in way) return begin(way, returnTo)
  return way.login.replace('{url}', encodeURIComponent(returnPath(returnTo)))
}

function showWelcome({ sign_in: way }: Settings, failure?: string): void {
  page.replaceChildren(header(), welcome(way !== null, failure))
  void new Queue(null).forgetOld()
}

function showApp(settings: Settings, session: Person, renewal?: Renewal): void {
  const announcer = new Announcer()
  const banner = sessionBanner()

  const onSomeoneElse = () => {
    // The pending uploads belong to the previous user, so they are dropped without asking the current one.
    uploads.stop()
    location.reload()
  }
  const watch = new SessionWatch(
    session,
    {
      onOver: () => (banner.hidden = false),
      onBack: () => {
        banner.hidden = true
        uploads.retryAfterSignIn()
        gallery.recover()
        urls.check()
        recovery.restored()
      },
      onRenewed: () => recovery.restored(),
      onSomeoneElse,
    },
    renewal,
  )
  const urls = new SignedUrls(async () => {
    await gallery.renewUrls()
    recovery.restored()
  })
  const recovery = new Recovery({
    isSignedIn: () => watch.suspect(),
    renew: () => (urls.areUsed ? urls.renew() : watch.renew()),
  })
  const api = new Api({
    onSessionOver: () => watch.over(),
    onSignedUrls: (lastMs) => urls.received(lastMs),
  })

  const tabs = new Tabs(session.owner, {
    onReady: (manifest) => gallery.prepend(manifest),
    onDeleted: (id) => gallery.forget(id),
  })
  const gallery: Gallery = new Gallery(
    api,
    announcer,
    settings.link_seconds,
    (picture) => recovery.broken(picture),
    (id) => tabs.deleted(id),
  )
  const list = new UploadList(
    () => uploads,
    announcer,
    (manifest) => gallery.open(manifest.id),
  )
  const queue = new Queue(session.owner)
  const uploads: Uploads = new Uploads(api, session.owner, settings, queue, {
    onAdded: (upload) => list.added(upload),
    onChanged: (upload) => {
      list.changed(upload)
      if (upload.state.status !== 'ready') return
      gallery.prepend(upload.state.manifest)
      tabs.ready(upload.state.manifest)
    },
    onRemoved: (upload) => list.removed(upload),
    onDeleted: ({ name }) => announcer.tell(strings.announce.deleted(name)),
    onDuplicate: (name) => announcer.say(strings.announce.already(name)),
    onNotDeleted: (name) => announcer.tell(strings.announce.notDeleted(name)),
    onSomeoneElse,
  })
  const intake = new Intake(settings, (files) => {
    const chosen = files.filter((file) => !isRubbish(file))
    if (chosen.length < files.length) announcer.tell(strings.announce.skipped(files.length - chosen.length))
    void uploads.add(chosen).then((started) => {
      if (started > 0) announcer.say(strings.announce.started(started))
    })
  })

  window.addEventListener('beforeunload', (event) => {
    if (uploads.isSending()) event.preventDefault()
  })

  page.replaceChildren(
    header(session, () => void signOut(watch, api, uploads, queue, announcer)),
    banner,
    element(
      'main',
      { class: 'app' },
      element('h1', { class: 'visually-hidden' }, strings.product),
      intake.element,
      list.element,
      gallery.element,
    ),
    intake.overlay,
    announcer.element,
  )
  void gallery.load()
  void queue.resume((kept) => uploads.resume(kept))
}

async function signOut(
  watch: SessionWatch,
  api: Api,
  uploads: Uploads,
  queue: Queue,
  announcer: Announcer,
): Promise<void> {
  if (uploads.hasUnsent() && !confirm(strings.header.signOutDuringUploads)) return
  try {
    await watch.signOut(() => api.endSession())
    // The browser asks before it leaves a page that sends, and this has been answered.
    uploads.stop()
    await queue.clear()
    location.assign('/')
  } catch (error) {
    announcer.tell(sentenceFor(error))
  }
}

function header(session?: Person, onSignOut?: () => void): HTMLElement {
  const bar = element(
    'header',
    { class: 'header' },
    element(
      'a',
      { class: 'brand', href: '/' },
      element('img', { src: mark, alt: '', width: 28, height: 28 }),
      strings.product,
    ),
  )
  if (session) {
    const signOut = element(
      'button',
      { type: 'button', class: 'button quiet', 'data-testid': 'sign-out' },
      strings.header.signOut,
    )
    signOut.addEventListener('click', () => onSignOut?.())
    bar.append(
      element(
        'div',
        { class: 'me' },
        element(
          'span',
          { class: 'avatar', 'aria-hidden': 'true', 'data-hue': session.sub.charAt(0) },
          session.sub.charAt(0).toUpperCase(),
        ),
        element('span', { class: 'visually-hidden' }, strings.header.signedInAs),
        element('span', { class: 'who', 'data-testid': 'who' }, session.sub),
        signOut,
      ),
    )
  }
  return bar
}

/** Signing in happens in another tab, so that the list and the uploads of this one stay. */
function sessionBanner(): HTMLElement {
  return element(
    'div',
    { class: 'session-banner', role: 'alert', hidden: true, 'data-testid': 'session-over' },
    element('p', {}, strings.session.over),
    element('a', { class: 'button small', href: SIGN_IN, target: '_blank', rel: 'noopener' }, strings.session.signIn),
  )
}
