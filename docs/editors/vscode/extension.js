// Starts `tts-lsp` and joins it with the editor; all that it says is the server's.
"use strict";

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

/** @type {LanguageClient | undefined} */
let client;

async function start() {
  const [command, ...args] = vscode.workspace.getConfiguration("tts").get("server");
  client = new LanguageClient(
    "tts",
    "tts-lang",
    { command, args },
    {
      documentSelector: [{ language: "tts" }],
      synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/*.tts") },
    },
  );
  try {
    await client.start();
  } catch (error) {
    const install = "pip install 'tts-lang[lsp]'";
    vscode.window.showErrorMessage(
      `${command} does not start (${error.message}). Install it with ${install}, ` +
        "or say where it is in the setting tts.server.",
    );
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running?.isRunning()) {
    await running.stop();
  }
}

async function activate(context) {
  const restart = async () => {
    await stop();
    await start();
  };
  context.subscriptions.push(
    vscode.commands.registerCommand("tts.restart", restart),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("tts.server")) {
        return restart();
      }
    }),
  );
  await start();
}

module.exports = { activate, deactivate: stop };
