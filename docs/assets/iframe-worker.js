/*! iframe-worker 1.0.4, Copyright (c) 2020-2022 Martin Donath <martin.donath@squidfunk.com>. MIT licence, see iframe-worker.LICENSE.txt.
    The search of a page that is opened as a file needs it. These are the modules of its package (dist/esm) in one
    file, as they can be read, with the last lines of its shim. */
"use strict";
(() => {
    /**
     * Send a message from the worker to the parent window
     *
     * @param message - Message
     * @param origin - Target origin
     */
    function postMessage(message, origin) {
        parent.postMessage(message, origin || "*");
    }
    /**
     * Import one or more scripts into the worker's scope
     *
     * Note that due to JavaScript's event-driven nature `importScripts` cannot be
     * synchronous. For this reason, we diverge from the official spec here and
     * return a `Promise`, which is fulfilled when the scripts have loaded. The
     * caller can `await` the `Promise` to ensure that the scripts have loaded.
     *
     * @param urls - Script URLs to import
     *
     * @returns Promise returning with no result
     */
    function importScripts(...urls) {
        return urls.reduce((promise, url) => (promise.then(() => new Promise(resolve => {
            const script = document.createElement("script");
            script.src = url;
            // @ts-expect-error - code golfing
            script.onload = resolve;
            document.body.appendChild(script);
        }))), Promise.resolve());
    }

    /**
     * A tiny and mostly spec-compliant `WebWorker` shim
     *
     * This `WebWorker` shim is implemented on top of an `IFrameElement` to allow
     * workers in contexts when `XMLHTTPRequest` is not available, or blocked by the
     * browser, e.g. when using the `file://` protocol. This shim can't provide
     * asynchronous workers, as iframes are synchronous by nature.
     */
    class IFrameWorker extends EventTarget {
        /**
         * Create a new worker from the given URL
         *
         * @param url - Worker script URL
         */
        constructor(url) {
            super();
            this.url = url;
            /**
             * Internal listener that proxies message events
             *
             * @param ev - Message event
             */
            this.m = (ev) => {
                if (ev.source === this.w) {
                    this.dispatchEvent(new MessageEvent("message", { data: ev.data }));
                    if (this.onmessage)
                        this.onmessage(ev);
                }
            };
            /**
             * Internal listener that proxies error events
             *
             * @param message - Error message
             * @param filename - Source filename
             * @param lineno - Source line number
             * @param colno - Source column number
             * @param error - Error object
             */
            this.e = (message, filename, lineno, colno, error) => {
                /* istanbul ignore else: will terminate jasmine */
                if (filename === `${this.url}`) {
                    const ev = new ErrorEvent("error", {
                        message, filename, lineno, colno, error
                    });
                    this.dispatchEvent(ev);
                    if (this.onerror)
                        this.onerror(ev);
                }
            };
            /* Create iframe to host the worker script */
            const iframe = document.createElement("iframe");
            iframe.hidden = true;
            document.body.appendChild(this.iframe = iframe);
            /* Initialize runtime and worker script */
            this.w.document.open();
            this.w.document.write("<html>" +
                "<body>" +
                "<script>" +
                `postMessage=${postMessage};` +
                `importScripts=${importScripts};` +
                "addEventListener(\"error\",({error})=>{" +
                "parent.dispatchEvent(new ErrorEvent(\"error\",{" +
                `filename:"${url}",` +
                "error" +
                "}))" +
                "})" +
                "</script>" +
                `<script src=${url}?${+Date.now()}></script>` +
                "</body>" +
                "</html>");
            this.w.document.close();
            /* Register internal listeners and track iframe state */
            onmessage = this.m;
            onerror = this.e;
            this.r = new Promise((resolve, reject) => {
                this.w.onload = resolve;
                this.w.onerror = reject;
            });
        }
        /**
         * Immediately terminate the worker
         */
        terminate() {
            this.iframe.remove();
            onmessage = onerror = null;
        }
        /**
         * Send a message to the worker
         *
         * @param data - Message data
         */
        postMessage(data) {
            void this.r
                .catch()
                .then(() => {
                this.w.dispatchEvent(new MessageEvent("message", structuredClone({ data })));
            });
        }
        /**
         * Helper to retrieve the content window of the `iframe`
         *
         * If the window doesn't exist, e.g. when the `iframe` has been removed by
         * terminating the worker, an error is thrown.
         *
         * @returns Window
         */
        get w() {
            return this.iframe.contentWindow;
        }
    }

    window.IFrameWorker = IFrameWorker;
    if (location.protocol === "file:") {
        window.Worker = IFrameWorker;
    }
})();
