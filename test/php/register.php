<?php

declare(strict_types=1);

// A register that speaks as PHP's does, with its secret in GW_SECRET_KEY: php register.php [--listen 127.0.0.1:0]

use Peer\Loop;
use Peer\Program;
use Peer\Register;

require __DIR__ . '/src/autoload.php';

$options = Program::options(['listen' => '127.0.0.1:0']);
$loop = new Loop();
$register = new Register($loop, $options['listen'], $options['secret']);
Program::ready(['listen' => $register->address]);
$loop->run();
