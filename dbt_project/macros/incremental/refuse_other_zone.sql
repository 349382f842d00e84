{#
    What every run begins with: one that is no full refresh stops if the days of the ledger, as the last run left it, are those of
    another zone than `reporting_timezone`. Every day begins at another moment then, and a mart must not have days of both.
#}
{% macro refuse_other_zone() -%}
    {%- set ledger = ref('int_operation_days') -%}
    {%- if execute and not flags.FULL_REFRESH and load_relation(ledger) -%}
        {%- if 'reporting_timezone' in adapter.get_columns_in_relation(ledger) | map(attribute='name') -%}
            {%- set zones = run_query('select reporting_timezone from ' ~ ledger ~ ' limit 1').columns[0].values() -%}
            {%- if zones and zones[0] != var('reporting_timezone') -%}
                {%- do exceptions.raise_compiler_error(
                    'the marts have days of ' ~ zones[0] ~ ', and reporting_timezone is now ' ~ var('reporting_timezone') ~ ': run '
                    ~ '`llmops build --full-refresh` (or `dbt build --full-refresh`), which makes all days anew, or set it back'
                ) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
