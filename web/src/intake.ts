// The inputs for photos: the picker, a drop anywhere on the page, and paste. Called by `main`; passes files to its
// callback. It never checks a file and never sends one.

import { getDroppedFiles } from '@uppy/core/utils'

import type { Limits } from './admission'
import { element, icon } from './element'
import { strings } from './strings'

export class Intake {
  readonly element: HTMLElement
  /** Covers the page while files are dragged over it. */
  readonly overlay: HTMLElement

  constructor(
    limits: Limits,
    private readonly take: (files: File[]) => void,
  ) {
    const input = element('input', {
      type: 'file',
      id: 'file-input',
      class: 'visually-hidden',
      'data-testid': 'file-input',
      // A list with JPEG but without HEIC makes iPhones convert photos in the picker.
      accept: limits.types.join(','),
      multiple: true,
      'aria-describedby': 'intake-limits',
    })
    input.addEventListener('change', () => {
      this.#give([...(input.files ?? [])])
      input.value = '' // otherwise the same file could not be chosen again
    })

    this.element = element(
      'section',
      { class: 'intake', 'aria-label': strings.intake.title },
      element('div', { class: 'intake-art' }, icon('upload')),
      element(
        'div',
        { class: 'intake-words' },
        // The label draws the button, but the input has the focus.
        element(
          'p',
          { class: 'intake-lead' },
          input,
          element('label', { class: 'button primary', for: 'file-input' }, strings.intake.choose),
          element('span', { class: 'intake-ways' }, strings.intake.ways),
        ),
        element(
          'p',
          { class: 'intake-limits', id: 'intake-limits' },
          strings.intake.limits(limits.types, limits.max_bytes),
        ),
      ),
    )

    this.overlay = element(
      'div',
      { class: 'drop-overlay', hidden: true, 'aria-hidden': 'true' },
      element('div', { class: 'drop-overlay-inner' }, icon('upload'), element('p', {}, strings.intake.drop)),
    )
    this.#listen()
  }

  #listen(): void {
    window.addEventListener('dragenter', (event) => this.#hover(event))
    window.addEventListener('dragover', (event) => this.#hover(event))
    window.addEventListener('dragleave', (event) => {
      if (event.relatedTarget === null) this.overlay.hidden = true
    })
    window.addEventListener('drop', (event) => {
      this.overlay.hidden = true
      if (!carriesFiles(event) || event.dataTransfer === null) return
      event.preventDefault()
      void getDroppedFiles(event.dataTransfer).then((files) => this.#give(files))
    })
    window.addEventListener('paste', (event) => {
      const files = [...(event.clipboardData?.files ?? [])]
      if (files.length === 0) return
      event.preventDefault()
      this.#give(files.map(named))
    })
  }

  #hover(event: DragEvent): void {
    if (!carriesFiles(event) || event.dataTransfer === null) return
    event.preventDefault() // otherwise the browser would open the file
    event.dataTransfer.dropEffect = 'copy'
    this.overlay.hidden = false
  }

  #give(files: File[]): void {
    if (files.length > 0) this.take(files)
  }
}

/** Whether files are dragged; text and pictures from within the page carry none. */
function carriesFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes('Files') ?? false
}

/** Gives the file a name: screenshots from the clipboard are all called `image.png`. */
function named(file: File): File {
  if (file.name !== 'image.png') return file
  return new File([file], `${strings.intake.pasted(new Date())}.png`, {
    type: file.type,
    lastModified: file.lastModified,
  })
}
