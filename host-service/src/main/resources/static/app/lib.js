/** The one library of the page: Preact, from its jar. Its version is also in the pom. */
export { h, render, Component, createRef, Fragment } from "../webjars/preact/10.28.0/dist/preact.module.js";
