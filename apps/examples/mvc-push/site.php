<?php
// A web site with its own HTTP backend. Pages connect to a gateway; the site says whose connection is whose, and pushes to them.
// site.mjs is the same with Express.
declare(strict_types=1);

use GatewayClient\Gateway;

require getenv('GATEWAY_CLIENT') ?: __DIR__ . '/vendor/autoload.php';

Gateway::$registerAddress = getenv('GW_REGISTER_ADDRESS') ?: '127.0.0.1:1236';
Gateway::$secretKey = getenv('GW_SECRET_KEY') ?: '';

/** The group of everybody who is logged in. */
const MEMBERS = 'members';

// What goes wrong belongs into the log, and not between the lines of an answer.
ini_set('display_errors', '0');
ini_set('log_errors', '1');

$method = $_SERVER['REQUEST_METHOD'];
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($method === 'GET' && $path !== '/me') {
    return false; // a file of public/, which PHP's built-in server sends by itself
}

try {
    // A form of another site cannot send JSON, and a script of another site would have to ask us first. Together with the SameSite
    // cookie this keeps other sites from posting in the name of our users.
    $isJson = str_starts_with($_SERVER['CONTENT_TYPE'] ?? '', 'application/json');
    if ($method === 'POST' && !$isJson) {
        refuse(415, 'Send JSON.');
    }
    session_start([
        'cookie_httponly' => true,
        'cookie_samesite' => 'Lax', // behind https: cookie_secure too
        'use_strict_mode' => true,
    ]);
    sendJson(200, match ("$method $path") {
        'GET /me' => me(),
        'POST /login' => logIn(readBody()),
        'POST /logout' => logOut(),
        'POST /bind' => bind(readBody()),
        'POST /notify' => notify(readBody()),
        'POST /news' => publish(readBody()),
        default => refuse(404, 'There is no such page.'),
    });
} catch (Refusal $refusal) {
    sendJson($refusal->getCode(), ['message' => $refusal->getMessage()]);
} catch (Exception $exception) {
    // GatewayClient throws when it cannot reach the cluster; what the site itself does wrong is no Exception but an Error.
    error_log((string) $exception);
    sendJson(503, [
        'message' => 'The push service cannot be reached.',
        'advice' => 'Check that the register and the gateways run, with the same address and secret as the site.',
    ]);
} catch (Error $error) {
    error_log((string) $error);
    sendJson(500, ['message' => 'Something went wrong on the site; its log says what.']);
}

// --- The routes ------------------------------------------------------------------------------------------------------------------

/** Who is logged in, and where pages connect. */
function me(): array
{
    return [
        'gatewayUrl' => getenv('GATEWAY_URL') ?: 'ws://127.0.0.1:7272',
        'name' => $_SESSION['login']['name'] ?? null,
    ];
}

/** The name is enough to log in, because this is an example: ask for a password here, or use the login that you have. */
function logIn(array $body): array
{
    $name = readName($body['name'] ?? null);
    $before = replaceSession();
    // The id is new at every login, so that a logout ends the connections of this browser and no others of the same user.
    $_SESSION['login'] = ['id' => bin2hex(random_bytes(16)), 'name' => $name];
    session_write_close();
    closePages($before);
    return ['name' => $name];
}

function logOut(): object
{
    $before = replaceSession();
    session_write_close();
    closePages($before);
    return (object) [];
}

/** The page says which connection is its own: from here on it hears what is sent to its user, and the news. */
function bind(array $body): array
{
    ['id' => $id, 'name' => $name] = requireLogin();
    $clientId = asString($body['clientId'] ?? null);
    $bindToken = asString($body['bindToken'] ?? null);
    if (Gateway::$secretKey !== '' && !isBindToken($clientId, $bindToken)) {
        refuse(403, 'This connection has not proved that it is yours: connect again.');
    }
    if (!preg_match('/^[0-9a-f]{20}$/D', $clientId)) {
        refuse(400, 'This is no client id.');
    }
    Gateway::bindUid($clientId, $name);
    Gateway::joinGroup($clientId, MEMBERS);
    Gateway::joinGroup($clientId, groupOfLogin($id));
    // Binding a connection that is gone does nothing, and is no error.
    if (!Gateway::isOnline($clientId)) {
        refuse(410, 'This connection is gone: connect again.');
    }
    return ['name' => $name];
}

/** To every page that a user has open, on all devices. */
function notify(array $body): array
{
    ['name' => $name] = requireLogin();
    $to = readName($body['to'] ?? null);
    $text = readText($body['text'] ?? null);
    $delivered = count(Gateway::getClientIdByUid($to));
    Gateway::sendToUid($to, encode(['type' => 'notification', 'from' => $name, 'text' => $text]));
    return ['delivered' => $delivered];
}

/** To every page of everybody who is logged in. */
function publish(array $body): array
{
    ['name' => $name] = requireLogin();
    $text = readText($body['text'] ?? null);
    $delivered = Gateway::getClientIdCountByGroup(MEMBERS);
    Gateway::sendToGroup(MEMBERS, encode(['type' => 'news', 'from' => $name, 'text' => $text]));
    return ['delivered' => $delivered];
}

// --- What they have in common ----------------------------------------------------------------------------------------------------

/** Whether the worker that greeted this connection gave it this token: what Gateway.verifyBindToken does in Node. */
function isBindToken(string $clientId, string $token): bool
{
    [$expires, $signature] = explode('.', "$token.");
    $expected = hash_hmac('sha256', "gatewayworker-bind:$clientId:$expires", Gateway::$secretKey);
    return hash_equals($expected, $signature) && time() < (int) $expires;
}

/** Ends every connection of one login, in whatever tab it is; `logout` tells the page not to come back by itself. */
function closePages(?array $login): void
{
    if ($login === null) {
        return;
    }
    foreach (Gateway::getClientIdListByGroup(groupOfLogin($login['id'])) as $clientId) {
        Gateway::closeClient($clientId, encode(['type' => 'logout']));
    }
}

function groupOfLogin(string $id): string
{
    return "login-$id";
}

/** A new session id at every change of who is logged in, so that an id that somebody planted or kept is worth nothing; the login before. */
function replaceSession(): ?array
{
    $before = $_SESSION['login'] ?? null;
    session_regenerate_id(true);
    $_SESSION = [];
    return $before;
}

function requireLogin(): array
{
    $login = $_SESSION['login'] ?? refuse(401, 'Log in first.');
    session_write_close(); // and so the user's other tabs need not wait for this one
    return $login;
}

function readBody(): array
{
    $body = json_decode(file_get_contents('php://input'), true);
    return is_array($body) ? $body : refuse(400, 'This is no JSON object.');
}

function readName(mixed $value): string
{
    $name = trimText($value);
    if (function_exists('normalizer_normalize')) {
        $name = normalizer_normalize($name);
    }
    // GatewayWorker takes '0' for no user at all; your own user ids are fine if they start at 1.
    if (!preg_match('/^\p{L}.{0,23}$/Du', $name)) {
        refuse(400, 'A name starts with a letter and has 24 characters at most.');
    }
    return $name;
}

function readText(mixed $value): string
{
    $text = trimText($value);
    return preg_match('/^.{1,500}$/Dsu', $text) ? $text : refuse(400, 'A text has 1 to 500 characters.');
}

function trimText(mixed $value): string
{
    return preg_replace('/^\s+|\s+$/Du', '', asString($value));
}

function asString(mixed $value): string
{
    return is_string($value) ? $value : '';
}

function encode(array|object $value): string
{
    return json_encode($value, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
}

function sendJson(int $status, array|object $answer): void
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo encode($answer);
}

/** Ends the request with an error that the user can read. */
function refuse(int $status, string $message): never
{
    throw new Refusal($message, $status);
}

class Refusal extends Exception
{
}
