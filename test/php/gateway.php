<?php

declare(strict_types=1);

// A gateway that speaks as PHP's does, with its secret in GW_SECRET_KEY:
// php gateway.php --register HOST:PORT [--register …] [--listen 127.0.0.1:0] [--lan 127.0.0.1:0]
// The LAN port listens at the address that is announced.

use Peer\GatewayServer;
use Peer\Loop;
use Peer\Program;

require __DIR__ . '/src/autoload.php';

$options = Program::options(['listen' => '127.0.0.1:0', 'lan' => '127.0.0.1:0', 'register' => '127.0.0.1:1236']);
$loop = new Loop();
$gateway = new GatewayServer($loop, $options['listen'], $options['lan'], (array) $options['register'], $options['secret']);
Program::ready(['listen' => "websocket://$gateway->clientAddress", 'lan' => $gateway->lanAddress]);
$loop->run();
