// Node-RED as a bridge: no editor, no port, nothing written to the disk, nothing installed or sent. docs/history.md
const REQUIRED = ["EMOTION_EDGE_HISTORY_BROKER", "EMOTION_EDGE_HISTORY_MQTT_USER", "EMOTION_EDGE_HISTORY_MQTT_PASSWORD"];

const missing = REQUIRED.filter((name) => process.env[name] === undefined);
if (missing.length) {
    console.error(`emotion-edge-history: error: ${missing.join(", ")} not set, expected in the environment (docs/history.md)`);
    process.exit(78);
}
process.env.EMOTION_EDGE_HISTORY_CA ??= ""; // the certificates that Node.js trusts

module.exports = {
    flowFile: "flows.json",
    readOnly: true,
    httpAdminRoot: false,
    httpNodeRoot: false,
    credentialSecret: false, // flows_cred.json has names of variables, no secrets
    mqttReconnectTime: 5000, // milliseconds
    externalModules: { autoInstall: false, palette: { allowInstall: false }, modules: { allowInstall: false } },
    telemetry: { enabled: false, updateNotification: false },
    logging: { console: { level: "info", metrics: false, audit: false } },
};
