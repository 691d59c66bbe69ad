<?php

declare(strict_types=1);

// A worker that speaks as PHP's BusinessWorker does, with its secret in GW_SECRET_KEY:
// php worker.php --events FILE --register HOST:PORT [--register …] [--name NAME]
// FILE has a class Events, as for GatewayWorker.

use Peer\Loop;
use Peer\Program;
use Peer\Worker;

require __DIR__ . '/GatewayClient.php';

class_alias(GatewayClient\Gateway::class, 'GatewayWorker\Lib\Gateway');

$options = Program::options(['events' => '', 'name' => 'PhpWorker', 'register' => '127.0.0.1:1236']);
require $options['events'];
$loop = new Loop();
$worker = new Worker($loop, $options['name'], 0, (array) $options['register'], $options['secret']);
Program::ready(['events' => $options['events']]);
$loop->run();
$worker->stop();
