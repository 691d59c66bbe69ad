<?php

/**
 * Calls a second of PHP's GatewayClient against several clusters in turn, so that they can be compared in one run:
 *
 *   php gateway-client.php AUTOLOAD NAME=REGISTER=CLIENT_PORT [NAME=REGISTER=CLIENT_PORT …]
 *   php gateway-client.php vendor/autoload.php ours=127.0.0.1:1236=7272 php=127.0.0.1:1237=7273
 *
 * AUTOLOAD is the file that finds the class GatewayClient\Gateway. Each cluster has one gateway, a worker and no clients; one WebSocket
 * client is opened here and bound to a uid. In the environment: SECONDS, how long a measurement is (1); ROUNDS, how many there are (5);
 * CALLERS, how many processes call at the same time (1), as those of php-fpm do; PERSISTENT=1, whether each keeps its connections.
 */

use GatewayClient\Gateway;

require $argv[1];

const UID = '1001';

final class Cluster
{
    /** @var resource */
    private $client;
    private string $clientId;
    private int $sends = 0;

    public function __construct(public readonly string $name, private readonly string $register, private readonly int $port)
    {
        $this->select();
        $this->client = stream_socket_client("tcp://127.0.0.1:{$this->port}") ?: exit(1);
        $request = ['GET / HTTP/1.1', 'Host: 127.0.0.1', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'];
        $request[] = 'Sec-WebSocket-Key: ' . base64_encode(random_bytes(16));
        fwrite($this->client, implode("\r\n", $request) . "\r\n\r\n");
        fgets($this->client);
        stream_set_blocking($this->client, false);
        for ($tries = 0; count(Gateway::getAllClientIdList()) !== 1; $tries += 1) {
            if ($tries === 50) exit("{$this->name}: there is not exactly one client\n");
            usleep(100_000);
        }
        $this->clientId = current(Gateway::getAllClientIdList());
        Gateway::bindUid($this->clientId, UID);
    }

    /** GatewayClient is one object for the whole program; it keeps the addresses of the cluster before for two seconds. */
    public function select(): void
    {
        Gateway::$registerAddress = $this->register;
        Gateway::$secretKey = getenv('SECRET') ?: '';
        usleep(2_100_000);
    }

    /** @return array<string, callable(): mixed> */
    public function calls(): array
    {
        return [
            'sendToUid' => $this->sendToUid(...),
            'getClientIdByUid' => fn () => Gateway::getClientIdByUid(UID) === [$this->clientId] ?: exit("{$this->name}: a wrong answer\n"),
            'isOnline' => fn () => Gateway::isOnline($this->clientId) === 1 ?: exit("{$this->name}: a wrong answer\n"),
        ];
    }

    /** A send does not wait for the gateway: now and then a question does, or what is counted would wait in the kernel. */
    private function sendToUid(): void
    {
        Gateway::sendToUid(UID, 'message');
        $this->sends += 1;
        if ($this->sends % 100 === 0) Gateway::isOnline($this->clientId);
    }

    /** Reads what has come, so that the gateway does not find the client slow. */
    public function drain(): void
    {
        while (fread($this->client, 65536) !== '') {
        }
    }
}

/** Calls a second of all callers together. */
function measure(Cluster $cluster, callable $call): float
{
    $callers = [];
    for ($caller = 0; $caller < (int) (getenv('CALLERS') ?: 1); $caller += 1) {
        [$ours, $theirs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        if (pcntl_fork() === 0) {
            Gateway::$persistentConnection = (bool) getenv('PERSISTENT');
            $start = microtime(true);
            $end = $start + (float) (getenv('SECONDS') ?: 1);
            for ($count = 0; microtime(true) < $end; $count += 1) $call();
            fwrite($theirs, (string) ($count / (microtime(true) - $start)));
            exit(0);
        }
        fclose($theirs);
        $callers[] = $ours;
    }
    while (pcntl_wait($status, WNOHANG) >= 0) {
        $cluster->drain();
        usleep(1_000);
    }
    return array_sum(array_map(stream_get_contents(...), $callers));
}

$clusters = [];
foreach (array_slice($argv, 2) as $argument) {
    [$name, $register, $port] = explode('=', $argument);
    $clusters[] = new Cluster($name, $register, (int) $port);
}
$figures = [];
for ($round = 0; $round < (int) (getenv('ROUNDS') ?: 5); $round += 1) {
    foreach ($clusters as $cluster) {
        $cluster->select();
        foreach ($cluster->calls() as $name => $call) {
            $figures[$name][$cluster->name][] = measure($cluster, $call);
        }
    }
}
foreach ($figures as $call => $ofClusters) {
    foreach ($ofClusters as $cluster => $values) {
        sort($values);
        $median = $values[intdiv(count($values), 2)];
        printf("%-17s %-8s %7d calls/s (%d … %d)\n", $call, $cluster, $median, min($values), max($values));
    }
}
