{#
    What an operation is charged for, by kind: expressions for how many of each, which add up to its input and its output
    without counting any token twice, since cached, audio and reasoning tokens are part of those. `usage` is the relation
    with the token columns. The rate of a kind is the column <kind>_rate of a price.
#}
{% macro token_kinds(usage) -%}
    {%- set t = {} -%}
    {%- for column in token_columns() -%}
        {%- do t.update({column: 'coalesce(' ~ usage ~ '.' ~ column ~ ', 0)'}) -%}
    {%- endfor -%}
    {{ return({
        'plain_input': t.input_tokens ~ ' - ' ~ t.cache_read_tokens ~ ' - ' ~ t.cache_write_tokens
            ~ ' - ' ~ t.input_audio_tokens ~ ' + ' ~ t.cache_read_audio_tokens,
        'cache_read': t.cache_read_tokens ~ ' - ' ~ t.cache_read_audio_tokens,
        'cache_write': t.cache_write_tokens ~ ' - ' ~ t.cache_write_1h_tokens,
        'cache_write_1h': t.cache_write_1h_tokens,
        'input_audio': t.input_audio_tokens ~ ' - ' ~ t.cache_read_audio_tokens,
        'cache_read_audio': t.cache_read_audio_tokens,
        'plain_output': t.output_tokens ~ ' - ' ~ t.reasoning_tokens ~ ' - ' ~ t.output_audio_tokens,
        'reasoning': t.reasoning_tokens,
        'output_audio': t.output_audio_tokens,
    }) }}
{%- endmacro %}
